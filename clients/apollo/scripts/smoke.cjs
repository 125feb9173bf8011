// Loads what was built as a program would, by its name: with `require` and with `import`.
const assert = require("node:assert");

const ENTRIES = { "": "createKeywheel", "/core": "createKeywheel", "/react": "useKeywheel", "/dpop": "dpop" };

(async () => {
  for (const [entry, name] of Object.entries(ENTRIES)) {
    assert.equal(typeof require(`@keywheel/apollo${entry}`)[name], "function");
    assert.equal(typeof (await import(`@keywheel/apollo${entry}`))[name], "function");
  }
  console.log("loads with require and import");
})();
