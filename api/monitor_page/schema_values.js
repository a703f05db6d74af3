// What a JSON Schema asks for, and what a filled form gives.

/** Returns the fields of a schema, the ones that are needed first. */
export function fieldsOf(schema) {
  const needed = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const { canBeNull, ...resolved } = resolve(property, schema.$defs ?? {});
    return { name, isNeeded: needed.has(name), canBeNull, kind: kindOf(resolved), ...pick(resolved, property) };
  });
  return fields.sort((one, other) => other.isNeeded - one.isNeeded);
}

/** Returns the parameters that a form gives, without the ones that are left empty, and what is wrong with texts. */
export function parametersOf(fields, given) {
  const parameters = {};
  const faults = {};
  for (const field of fields) {
    const text = given.get(field.name);
    try {
      const value = read(field, text);
      if (value !== undefined) parameters[field.name] = value;
    } catch (error) {
      faults[field.name] = error.message;
    }
  }
  return { parameters, faults };
}

function read(field, text) {
  if (field.kind === "boolean") return text !== null;
  if (field.kind === "list") return text.trim() ? text.split("\n").filter(Boolean).map((line) => item(field, line.trim())) : undefined;
  if (text === "") return field.kind === "string" && typeof field.initial === "string" && field.initial ? "" : undefined;
  if (field.kind === "integer" || field.kind === "number") return Number.isNaN(Number(text)) ? text : Number(text);
  if (field.kind === "choice") return field.choices.find((each) => String(each) === text);
  if (field.kind === "json") return parsed(text);
  return text;
}

const item = (field, line) => (field.itemKind === "string" || Number.isNaN(Number(line)) ? line : Number(line));

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("must be JSON");
  }
}

function pick(resolved, property) {
  return {
    choices: resolved.enum,
    itemKind: resolved.items?.type,
    isSecret: resolved.writeOnly === true || resolved.format === "password",
    hint: property.description ?? "",
    initial: property.default ?? undefined,
    least: resolved.minimum,
    most: resolved.maximum,
  };
}

function kindOf(schema) {
  if (schema.enum) return "choice";
  if (schema.type === "array" && ["string", "integer", "number"].includes(schema.items?.type)) return "list";
  return ["string", "integer", "number", "boolean"].includes(schema.type) ? schema.type : "json";
}

/** Follows a reference, and takes the other side of a union with null. */
function resolve(schema, definitions) {
  if (schema.$ref) return resolve(definitions[schema.$ref.split("/").pop()] ?? {}, definitions);
  if (schema.allOf?.length === 1) return resolve(schema.allOf[0], definitions);
  const sides = schema.anyOf?.filter((each) => each.type !== "null");
  if (sides?.length === 1) return { ...resolve(sides[0], definitions), canBeNull: true };
  return schema;
}
