import { execFileSync } from "node:child_process";
import { type ComponentName, componentTable, describeWith, find, parseComponents } from "./components";

describe("the table of components", () => {
  test("drops comments, normalises white space and splits off the programs on PATH", () => {
    expect(
      parseComponents("# a comment\n\nssh   debian  bookworm/openssh-client  usr/bin/ssh   ssh  dbclient\n"),
    ).toEqual([
      {
        name: "ssh",
        kind: "debian",
        source: "bookworm/openssh-client",
        text: "ssh debian bookworm/openssh-client usr/bin/ssh ssh dbclient",
        alternatives: ["ssh", "dbclient"],
      },
    ]);
  });

  test("names each component once", () => {
    const names = componentTable().map((row) => row.name);
    expect(new Set(names).size).toBe(names.length);
  });

  test("a name that is not in it is missing, with the reason", () => {
    expect(find("no-such-component" as ComponentName)).toEqual({
      missing: "no-such-component: not in tools/lab/components",
    });
  });
});

describeWith(["registry"], "a component that is here", ({ registry }) => {
  test("runs, and is the version the table pins", () => {
    const [program, ...first] = registry.command;
    expect(execFileSync(program, [...first, "--version"], { encoding: "utf8" })).toContain("2.8.3");
  });
});
