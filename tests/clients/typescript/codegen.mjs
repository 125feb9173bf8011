/** @type {import("@graphql-codegen/cli").CodegenConfig} */
export default {
  schema: "../../../schema.graphql",
  documents: "../../operations/*.graphql",
  generates: {
    "generated/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        documentMode: "string",
        importExtension: ".js",
        useTypeImports: true,
        strictScalars: true,
        scalars: { DateTime: "string" },
      },
    },
  },
};
