import type { DocumentNode } from "graphql";

/** What an operation asks for. */
export interface Operation {
  /** It may run twice. */
  isQuery: boolean;
  /** Its fields at the top. None when they cannot be told at a glance, as with fragments. */
  rootFields: string[];
}

/** Whether an operation asks for nothing but fields that anybody may ask for. */
export function isOpen({ rootFields }: Operation, publicFields: readonly string[]): boolean {
  return rootFields.length > 0 && rootFields.every((field) => publicFields.includes(field));
}

/** What a parsed document asks for. */
export function read(document: DocumentNode): Operation {
  const operation = document.definitions.find((definition) => definition.kind === "OperationDefinition");
  const fields = (operation?.selectionSet.selections ?? []).map((field) =>
    field.kind === "Field" ? field.name.value : "",
  );
  return { isQuery: operation?.operation === "query", rootFields: fields.includes("") ? [] : fields };
}

/** What a document in text asks for, without a parser. */
export function scan(document: string): Operation {
  const bare = document
    .replace(/"""(?:\\"""|[^])*?"""|"(?:\\.|[^"\\\n])*"|#.*/g, "") // strings and comments, which may contain anything
    .replace(/\([^()]*\)|@\w+|\w+\s*:/g, " "); // arguments, directives, aliases
  const rootFields: string[] = [];
  let [depth, head, isQuery] = [0, "", document !== ""];
  for (const part of bare.match(/[{}]|[^{}]+/g) ?? []) {
    if (part === "{") depth += 1;
    else if (part === "}") depth -= 1;
    else if (depth === 0) {
      head = part.trim();
      if (head.startsWith("mutation")) isQuery = false;
    } else if (depth === 1 && !head.startsWith("fragment")) {
      rootFields.push(...(part.match(/\w+|\.\.\./g) ?? []));
    }
  }
  return { isQuery, rootFields: rootFields.includes("...") ? [] : rootFields };
}
