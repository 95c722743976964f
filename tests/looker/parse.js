// Reads {name: LookML} from stdin, prints per name the fields of its views, or what its parser says against it.
const path = require("path");
const { parse } = require(path.join(process.argv[2], "node_modules", "lookml-parser"));

const fieldsOf = (view) =>
  ["dimension", "dimension_group", "measure"].flatMap((kind) => Object.keys(view[kind] || {})).filter((name) => !name.startsWith("$"));
const read = (text) => {
  try {
    const views = parse(text).view || {};
    return Object.fromEntries(Object.keys(views).filter((name) => !name.startsWith("$")).map((name) => [name, fieldsOf(views[name])]));
  } catch (problem) {
    return String(problem.message || problem);
  }
};
const files = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(Object.fromEntries(Object.entries(files).map(([name, text]) => [name, read(text)]))));
