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
  const faults = new Map();
  for (const field of fields) {
    const text = given.get(field.name);
    try {
      const value = read(field, text);
      if (value !== undefined) parameters[field.name] = value;
    } catch (error) {
      faults.set(field.name, error.message);
    }
  }
  return { parameters, faults };
}

function read(field, text) {
  if (field.kind === "boolean") return text !== null;
  if (field.kind === "list") return listOf(field, text);
  if (field.kind === "string" ? text === "" : !text.trim()) return emptied(field);
  if (field.kind === "integer" || field.kind === "number") return numberOf(field.kind, text.trim());
  if (field.kind === "choice") return field.choices.find((each) => String(each) === text);
  if (field.kind === "json") return parsed(text);
  return text;
}

function listOf({ itemKind, initial }, text) {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  if (!lines.length) return initial?.length ? [] : undefined;
  return lines.map((line) => (itemKind === "string" ? line : numberOf(itemKind, line)));
}

/** What a field gives whose first value has been taken away; nothing if it had none, so that the app takes its own. */
function emptied({ kind, initial, canBeNull }) {
  if (initial === undefined || initial === "") return undefined;
  if (kind === "string") return "";
  return canBeNull ? null : undefined;
}

/** The app says what is wrong with a text that is no number, and reads integers that a script cannot hold. */
function numberOf(kind, text) {
  const value = Number(text);
  const isExact = kind === "integer" ? /^[+-]?\d+$/.test(text) && Number.isSafeInteger(value) : Number.isFinite(value);
  return isExact ? value : text;
}

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
