// What schemas say, for people: as text, as rows that open, and as an example. Text is only ever put in as text.

export function el(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((each) => each != null && each !== ""));
  return made;
}

// Markdown, as far as docstrings have it: paragraphs, lists, fences, `code`, **bold** and [links](https://…).
export function prose(text) {
  const made = el("div", { class: "prose" });
  for (const block of (text ?? "").split(/(```[^]*?```)|\n\s*\n/)) {
    if (!block?.trim()) continue;
    const lines = block.trim().split("\n");
    if (block.startsWith("```")) made.append(el("pre", {}, block.replace(/^```.*\n?|\n?```$/g, "")));
    else if (lines.every((line) => /^\s*([-*] |\s{2,}\S)/.test(line)) && /^[-*] /.test(lines[0])) {
      const items = block.trim().split(/\n(?=[-*] )/);
      made.append(el("ul", {}, items.map((item) => el("li", {}, inline(item.slice(2))))));
    } else made.append(el("p", {}, inline(block.trim())));
  }
  return made;
}

function inline(text) {
  return text.split(/(``?[^`]+``?|\*\*[^*]+\*\*|\[[^\]]+\]\(https?:[^\s)]+\))/).map((part) => {
    const link = /^\[([^\]]+)\]\((https?:[^\s)]+)\)$/.exec(part);
    if (link) return el("a", { href: link[2], rel: "noreferrer noopener" }, link[1]);
    if (/^`+[^`]+`+$/.test(part)) return el("code", {}, part.replace(/^`+|`+$/g, ""));
    if (/^\*\*[^*]+\*\*$/.test(part)) return el("strong", {}, part.slice(2, -2));
    return part;
  });
}

export class Schemas {
  constructor(root) {
    this.root = root;
  }

  // What stands at a reference, followed to its end; {} for one that leads nowhere.
  follow(node) {
    for (let step = 0; node?.$ref && step < 20; step++) {
      const parts = node.$ref.replace(/^#\//, "").split("/");
      const { $ref, ...beside } = node;
      const found = parts.reduce(
        (at, part) => at?.[decodeURIComponent(part).replace(/~1/g, "/").replace(/~0/g, "~")], this.root);
      node = { ...found, ...beside };
    }
    return node?.$ref ? {} : (node ?? {});
  }

  options(schema) {
    return schema.anyOf ?? schema.oneOf;
  }

  // The type in a few words, such as "array of Item" or "string (date) or null".
  type(schema) {
    if (schema === true || schema === undefined) return "anything";
    if (schema.$ref) return this.follow(schema).title ?? schema.$ref.split("/").pop();
    if (this.options(schema)) return this.options(schema).map((each) => this.type(each)).join(" or ");
    if (schema.allOf) return this.type(schema.allOf[0]);
    if (schema.enum) return schema.enum.length === 1 ? JSON.stringify(schema.enum[0]) : "one of";
    if (schema.type === "array") return schema.items ? `array of ${this.type(schema.items)}` : "array";
    if (schema.type === "object" && schema.additionalProperties && !schema.properties)
      return `object of ${this.type(schema.additionalProperties)}`;
    const format = schema.format ?? (schema.contentEncoding && `in ${schema.contentEncoding}`);
    return `${schema.title ?? schema.type ?? "anything"}${format ? ` (${format})` : ""}`;
  }

  // What values have to be beside their type, such as "≥ 1".
  limits(schema) {
    const found = [];
    const range = (low, high, what) => {
      if (low !== undefined && high !== undefined) found.push(low === high ? `${low} ${what}` : `${low} to ${high} ${what}`);
      else if (low !== undefined && low > 0) found.push(`at least ${low} ${what}`);
      else if (high !== undefined) found.push(`at most ${high} ${what}`);
    };
    for (const [key, sign] of [["minimum", "≥"], ["exclusiveMinimum", ">"], ["maximum", "≤"], ["exclusiveMaximum", "<"]])
      if (schema[key] !== undefined) found.push(`${sign} ${schema[key]}`);
    range(schema.minLength, schema.maxLength, schema.format === "binary" ? "bytes" : "characters");
    range(schema.minItems, schema.maxItems, "items");
    if (schema.multipleOf !== undefined) found.push(`a multiple of ${schema.multipleOf}`);
    if (schema.uniqueItems) found.push("each once");
    if (schema.pattern !== undefined) found.push(`matches ${schema.pattern}`);
    for (const each of schema.allOf ?? []) found.push(...this.limits(each));
    return found;
  }

  choices(schema) {
    const found = this.follow(schema);
    if (found.enum?.length > 1) return found.enum;
    return found.items ? this.choices(found.items) : [];
  }

  // The facts about a value, as small pieces in a line.
  facts(schema) {
    const bare = schema.$ref ? {} : schema;
    const choices = this.choices(schema).map((each) => el("code", {}, JSON.stringify(each)));
    return [
      el("span", { class: "type" }, this.type(schema)), ...choices,
      ...this.limits(bare).map((each) => el("span", { class: "limit" }, each)),
      schema.default != null && el("span", { class: "limit" }, "default ", el("code", {}, JSON.stringify(schema.default))),
      schema.deprecated && el("span", { class: "limit" }, "deprecated"),
    ].filter(Boolean);
  }

  // The members that a schema opens to: of an object, of the items of an array, of the options of a union.
  inside(schema) {
    const found = this.follow(schema);
    if (found.properties)
      return Object.entries(found.properties).map(([name, each]) => [name, each, found.required?.includes(name)]);
    if (found.items && found.type === "array") return this.inside(found.items);
    if (found.additionalProperties?.constructor === Object) return this.inside(found.additionalProperties);
    const options = (this.options(found) ?? found.allOf ?? []).filter((each) => this.inside(each).length);
    if (options.length === 1) return this.inside(options[0]);
    return options.map((each) => [this.type(each), each, undefined]);
  }

  // A schema to look at; what is in a member is made when it is opened, since classes may contain themselves.
  view(schema) {
    const found = this.follow(schema);
    const members = this.inside(schema);
    const head = el("div", { class: "facts" }, this.facts(schema));
    const text = found.description ? prose(found.description) : null;
    return el("div", { class: "schema" }, head, text, members.length ? this.rows(members) : null);
  }

  rows(members) {
    return el("ul", { class: "rows" }, members.map(([name, each, required]) => el("li", {}, this.row(name, each, required))));
  }

  row(name, schema, required) {
    const line = [
      el("code", { class: "name" }, name),
      required ? el("span", { class: "required" }, "required") : null, ...this.facts(schema),
    ];
    const members = this.inside(schema);
    const text = schema.description ?? (members.length ? null : this.follow(schema).description);
    const described = text ? prose(text) : null;
    if (!members.length) return [el("div", { class: "facts" }, line), described];
    const opened = el("details", {}, el("summary", { class: "facts" }, line));
    opened.addEventListener("toggle", () => opened.append(this.rows(members)), { once: true });
    return [opened, described];
  }

  // An example of what fits, as JSON has it.
  example(schema, depth = 0) {
    const found = this.follow(schema);
    if (found.examples?.length) return found.examples[0];
    if (found.default != null) return found.default;
    if (found.const !== undefined) return found.const;
    if (found.enum) return found.enum[0];
    if (found.allOf) return this.example(found.allOf[0], depth);
    const options = this.options(found);
    if (options) return this.example(options.find((each) => each.type !== "null") ?? {}, depth);
    if (found.properties) {
      const names = Object.keys(found.properties).filter((name) => found.required?.includes(name) || depth < 1);
      return Object.fromEntries(names.map((name) => [name, this.example(found.properties[name], depth + 1)]));
    }
    if (found.type === "array")
      return found.prefixItems?.map((each) => this.example(each, depth + 1))
        ?? (depth < 2 || found.minItems ? [this.example(found.items ?? {}, depth + 1)] : []);
    if (found.type === "integer" || found.type === "number") {
      const low = found.minimum ?? (found.exclusiveMinimum !== undefined ? found.exclusiveMinimum + 1 : 1);
      return Math.min(low, found.maximum ?? low);
    }
    if (found.type === "boolean") return true;
    if (found.type === "null") return null;
    return found.type === "string" ? EXAMPLES[found.format]?.() ?? "a".repeat(found.minLength ?? 0) : {};
  }
}

const EXAMPLES = {
  "date-time": () => new Date().toISOString().replace(/\.\d+/, ""),
  date: () => new Date().toISOString().slice(0, 10),
  time: () => "12:00:00Z",
  "partial-time": () => "12:00:00",
  duration: () => "PT1H",
  uuid: () => "123e4567-e89b-12d3-a456-426614174000",
  decimal: () => "1.00",
};
