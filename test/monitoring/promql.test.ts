import fc from "fast-check";
import { METRICS } from "../../monitoring/metrics";
import { metricsOf, promqlString, selector, syntaxError } from "../../monitoring/promql";
import { anyCharacter } from "../any-character";

const failures = "registry_manifest_integrity_failures";

it("selects the series of one registry", () => {
  expect(selector(failures, { instance: "registry.example.org:5000" })).toBe(
    `${failures}{instance="registry.example.org:5000"}`,
  );
  expect(selector(failures)).toBe(failures);
});

it("quotes any value so that the expression stays one selector", () => {
  fc.assert(
    fc.property(fc.string({ unit: anyCharacter }), (value) => {
      const expression = selector(failures, { instance: value });
      expect(syntaxError(expression)).toBeUndefined();
      expect(metricsOf(expression)).toEqual([failures]);
      expect(JSON.parse(promqlString(value))).toBe(value.replace(/\p{Surrogate}/gu, "\ufffd"));
    }),
  );
});

it("writes half a surrogate pair as the replacement character, because Go has no such escape", () => {
  expect(promqlString("a\ud800b")).toBe('"a\ufffdb"');
});

it.each([
  ["up > ", 6],
  ['up{a="b" > 0', 10],
  ["absent(up", 10],
  ["up +* 3", 5],
])("finds where %j stops being PromQL", (expression, position) => {
  expect(syntaxError(expression)).toBe(position);
});

it("finds nothing wrong with every metric that is exported", () => {
  for (const metric of Object.keys(METRICS)) expect(syntaxError(metric)).toBeUndefined();
});

it("names the metrics of an expression, not its functions and labels", () => {
  expect(metricsOf('absent(a{x="b"}) and on (c) max_over_time(d[7d]) > time()')).toEqual(["a", "d"]);
});
