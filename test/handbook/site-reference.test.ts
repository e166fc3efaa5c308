import { render } from "../../handbook/document";
import { siteReference } from "../../handbook/site-reference";
import { reference, small } from "../sites";

const text = render(siteReference());

/** The rows of each field on the page, by its path without the names of choices. */
const rows = [...text.matchAll(/^\| `([^`]+)` \| (.*?) \| (.*) \|$/gm)].map(
  ([, path = "", needed = "", allowed = ""]) => ({
    path: path.replace(/ \(\w+ "[^"]*"\)/g, ""),
    needed,
    allowed,
  }),
);

const pathsOf = (value: unknown, path = ""): string[] => {
  if (Array.isArray(value))
    return value.some((each) => typeof each === "object")
      ? value.flatMap((each) => pathsOf(each, `${path}[]`))
      : [path];
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([name, inner]) => pathsOf(inner, path === "" ? name : `${path}.${name}`));
};

test.each([
  ["the reference site", reference],
  ["the small example", small],
])("names every field of %s", (_, site) => {
  const named = new Set(rows.map(({ path }) => path));
  // Operators choose the keys below labels.
  const used = [...new Set(pathsOf(site))].filter((path) => !path.includes(".labels."));
  expect(used.filter((path) => !named.has(path))).toEqual([]);
});

test("says what is needed, what is the default, and what never is allowed", () => {
  const of = (path: string) => rows.filter((row) => row.path === path).map(({ needed }) => needed);
  expect(of("hosts[].name")).toEqual(["yes"]);
  expect(of("hosts[].ssh.port")).toEqual(["no, `22`"]);
  expect(of("hosts[].deferred")).toEqual(["no"]);
  expect(of("hosts[].resolver.fallbackDns")).toEqual(["**never**"]);
});

test("says of every field what is allowed", () => {
  expect(rows.length).toBeGreaterThan(80);
  for (const { path, allowed } of rows) expect([path, allowed]).toEqual([path, expect.stringMatching(/\S/)]);
  expect(text).not.toMatch(/Invalid input|undefined/);
});
