import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { comment, fingerprint, LIMIT, MARKER } from "../../review/comment";
import { type PlanJson, parsePlan, type ResourceChangeJson } from "../../review/plan";
import { SENSITIVE } from "../../review/redaction";
import { reviewStacks, type StackReview } from "../../review/review";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";

const recorded = (name: string): PlanJson =>
  parsePlan(readFileSync(join(__dirname, "plans", `${name}.json`), "utf8"), name);

const review = (plan: PlanJson, stack = "dns", constructs = new Map<string, string>()): StackReview => {
  const [reviewed] = reviewStacks([{ stack, plan, constructs, compared: undefined }]);
  if (reviewed === undefined) throw new Error("nothing was reviewed");
  return reviewed;
};

const commentOn = (...reviews: StackReview[]): string => comment({ reviews, unreviewed: [], commit: COMMIT });

const plan = (changes: readonly ResourceChangeJson[], more: Partial<PlanJson> = {}): PlanJson => ({
  format_version: "1.2",
  resource_changes: changes,
  prior_state: { values: { root_module: { resources: [{}] } } },
  ...more,
});

const change = (address: string, given: ResourceChangeJson["change"], more = {}): ResourceChangeJson => ({
  address,
  mode: "managed",
  type: address.split(".", 1)[0] ?? "",
  name: address,
  change: given,
  ...more,
});

/** The lines as CommonMark reads them: which are within a fence, and how deep the folds are outside of one. */
const structure = (markdown: string): { outside: string[]; open: string | undefined; depth: number } => {
  let open: string | undefined;
  let depth = 0;
  let lowest = 0;
  const outside: string[] = [];
  for (const line of markdown.split("\n")) {
    const fence = line.match(/^ {0,3}(`{3,})([^`]*)$/);
    if (open !== undefined) {
      if (fence !== null && fence[2]?.trim() === "" && (fence[1]?.length ?? 0) >= open.length) open = undefined;
      continue;
    }
    if (fence !== null) {
      open = fence[1];
      continue;
    }
    outside.push(line);
    const text = line.replace(/(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)/g, "");
    depth += (text.match(/<details>/g) ?? []).length - (text.match(/<\/details>/g) ?? []).length;
    lowest = Math.min(lowest, depth);
  }
  expect(lowest).toBe(0);
  return { outside, open, depth };
};

describe("the comment on recorded plans", () => {
  const names = readdirSync(join(__dirname, "plans"))
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.replace(".json", ""));

  test.each(names)("%s", (name) => expect(commentOn(review(recorded(name), "stack"))).toMatchSnapshot());
});

test("a delivery is an update of its files, not a loss", () => {
  const text = commentOn(review(recorded("dns-another-resolver")));
  expect(text).toMatch(/^\*\*Plan: 2 to deliver again\*\*/);
  expect(text).not.toMatch(/destroy|replace/i);
  expect(text).toContain("<code>/etc/resolv.conf</code>");
  expect(text).toContain("-nameserver 192.168.1.2\n");
  expect(text).toContain("+nameserver 192.0.2.53\n");
});

test("what is lost stands first, with its reason", () => {
  const text = commentOn(review(recorded("file-replaced-and-drift"), "file"), review(recorded("dns-host-deferred")));
  const [, first = ""] = text.split(/^#+ .*$/m);
  expect(text.indexOf("### Destroyed or replaced")).toBeLessThan(text.indexOf("| stack |"));
  expect(first).toMatch(/destroy.*terraform_data\.pve.*no longer in the configuration; what it delivered stays/);
  expect(first).toMatch(/replace.*local_file\.program.*`filename` is `"probe-1\.mjs"` and becomes `"probe-2\.mjs"`/);
});

test("a delivery that failed half-way says why it runs again", () => {
  expect(commentOn(review(recorded("dns-failed-half-way")))).toMatch(
    /- `terraform_data.*`: what was begun before failed half-way/,
  );
});

test("a bundle is one line: old digest, new digest, size", () => {
  const text = commentOn(review(recorded("file-replaced-and-drift"), "file"));
  expect(text).toMatch(/^`content` of `local_file.program`: `[0-9a-f]{12}`, 2 KiB → `[0-9a-f]{12}`, 2 KiB$/m);
  expect(text).not.toContain("export const version");
});

test("what was changed outside Terraform", () => {
  const text = commentOn(review(recorded("file-replaced-and-drift"), "file"));
  expect(text).toMatch(/### Changed outside Terraform\n\n`local_file\.drifted` of file is gone/);
});

test("a secret whose mark Terraform lost is not shown", () => {
  const text = commentOn(review(recorded("secret"), "secret"));
  expect(JSON.stringify(recorded("secret").resource_changes)).toContain("planted-Secret-41");
  expect(text).not.toMatch(/planted-Secret/);
  expect(text).toContain(`- output = {"list":["${SENSITIVE}",1]}`);
});

test("deferred hosts and the command to apply, of the stacks that change alone", () => {
  const text = commentOn(review(recorded("dns-another-resolver")), review(recorded("dns-no-changes"), "other"));
  expect(text).toMatch(/### Deferred\n\nNothing is sent to:\n\n- `truenas`: `unreachable when/);
  expect(text).toContain("```sh\nnpm run cdktf -- deploy dns --ignore-missing-stack-dependencies\n```");
});

test("no changes are one line", () => {
  const text = commentOn(review(recorded("dns-no-changes")));
  expect(text).toMatch(/^\*\*No changes\*\* in dns \(commit `0123456789ab`, plan `[0-9a-f]{12}`\) <!-- .* -->$/);
});

test("the construct's path stands before Terraform's address", () => {
  const constructs = new Map([["a.b", "dns/pve/Resource"]]);
  const created = plan([change('a.b["x"]', { actions: ["create"], before: null, after: { c: 1 } })]);
  expect(commentOn(review(created, "dns", constructs))).toContain('- `dns/pve/Resource` (`a.b["x"]`)');
});

test("moves and imports say from where", () => {
  const moved = change("a.b", { actions: ["no-op"] }, { previous_address: "a.c" });
  const imported = change("a.d", { actions: ["no-op"], importing: { id: "monitoring/x" } });
  const text = commentOn(review(plan([moved, imported])));
  expect(text).toContain("**Plan: 1 to import, 1 to move**");
  expect(text).toContain("- `a.b`, moved from `a.c`");
  expect(text).toContain("- `a.d`, taken over as `monitoring/x`");
});

test("JSON in one line is compared by its structure", () => {
  const values = (expression: string) => ({
    values: [JSON.stringify({ groups: [{ rules: [{ expr: expression }] }] })],
  });
  const update = { actions: ["update"], before: values("up == 0"), after: values("up == 1") };
  const long = change("helm_release.rules", {
    ...update,
    before: { values: [update.before.values[0]?.padEnd(250)] },
  });
  const text = commentOn(review(plan([long])));
  expect(text).toContain('-          "expr": "up == 0"\n+          "expr": "up == 1"');
});

test("what cannot be reviewed, what is incomplete and what is new is said", () => {
  const created = [change("a.b", { actions: ["create"], before: null, after: { c: 1 } })];
  const first = review(plan(created, { prior_state: undefined, errored: true }));
  const compared: StackReview = { ...review(plan(created)), stack: "monitoring", compared: "no backend" };
  const text = comment({
    reviews: [first, compared],
    unreviewed: [{ stack: "registry-vm", reason: "no `provider`" }],
    commit: undefined,
  });
  expect(text).toContain("- **registry-vm** is not in this report: `` no `provider` ``");
  expect(text).toContain("- **dns** is incomplete: Terraform failed while it planned");
  expect(text).toContain("- **dns** has no state yet: everything in it is new");
  expect(text).toMatch(/- \*\*monitoring\*\* was compared with what the merge base synthesises.*\(`no backend`\)/);
});

test("a stack that could not be reviewed is no stack without changes", () => {
  const text = comment({ reviews: [], unreviewed: [{ stack: "dns", reason: "x" }], commit: undefined });
  expect(text).not.toContain("No changes");
});

test("a file that holds a fence or hides a character cannot break out of its own", () => {
  const content = "```\n</details>\n# heading\n@everyone \u202e\n````\n";
  const delivery = { triggers_replace: { "/etc/`x`</code>": content } };
  const text = commentOn(
    review(plan([change("terraform_data.a", { actions: ["create"], before: null, after: delivery })])),
  );
  const { outside, open, depth } = structure(text);
  expect({ open, depth }).toEqual({ open: undefined, depth: 0 });
  expect(outside.join("\n")).not.toMatch(/^# heading|@everyone|\u202e/m);
  expect(text).toContain("+@everyone \\u{202e}");
});

test("a plan that is too large loses its least important parts, says so, and keeps what is destroyed", () => {
  const file = (index: number) =>
    change(`terraform_data.file${index}`, {
      actions: ["create"],
      before: null,
      after: { triggers_replace: { [`/etc/${index}`]: `${"line of a file\n".repeat(200)}` } },
    });
  const lost = change("a.lost", { actions: ["delete"], before: {}, after: null });
  const text = commentOn(review(plan([...Array.from({ length: 100 }, (_, index) => file(index)), lost])));
  expect(text.length).toBeLessThan(LIMIT);
  expect(text).toContain("**destroy** `a.lost`");
  expect(text).toMatch(
    /_Left out, to stay below 65,536 characters: new files \(\d+\)\. `npm run plan` shows all of it\._$/,
  );
  expect(text).toContain("- `terraform_data.file99`");
  expect(text).toContain("npm run cdktf -- deploy dns");
});

test("the fingerprint is the plan's: the same for the same, another for another", () => {
  const of = (name: string) => fingerprint({ reviews: [review(recorded(name))], unreviewed: [] });
  expect(of("dns-another-resolver")).toBe(of("dns-another-resolver"));
  expect(of("dns-another-resolver")).not.toBe(of("dns-first"));
});

describe("whatever a plan holds", () => {
  const SECRET = "Planted-5ecret/`x`";
  const text = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 40 }),
    fc.constantFrom("```", "</details>", "<details>", "\n````\n", "# x", `a ${SECRET} b`, "\u202e", "x".repeat(3000)),
    fc.string({ unit: fc.constantFrom("`", "\n", "<", "a"), maxLength: 30 }),
  );
  const value = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      text,
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(text, tie("value"), { maxKeys: 4 }),
    ),
  })).value;
  const values = fc.record({ triggers_replace: value, other: value });
  const changes = fc.array(
    fc
      .record({
        address: text,
        type: fc.constantFrom("terraform_data", "config_map"),
        actions: fc.constantFrom(
          ["create"],
          ["delete"],
          ["update"],
          ["delete", "create"],
          ["create", "delete"],
          ["no-op"],
        ),
        before: values,
        after: values,
        after_unknown: value,
        previous_address: fc.option(text, { nil: undefined }),
        repeat: fc.integer({ min: 1, max: 40 }),
      })
      .map(({ address, type, repeat, previous_address, ...rest }) =>
        Array.from(
          { length: repeat },
          (_, index): ResourceChangeJson => ({
            address: `${address}${index}`,
            mode: "managed",
            type,
            name: "x",
            previous_address,
            change: { ...rest, replace_paths: [["other"]] },
          }),
        ),
      ),
    { maxLength: 6 },
  );

  test("the comment stays below the limit, shows no secret, and closes what it opens", () => {
    fc.assert(
      fc.property(changes, changes, (resource_changes, resource_drift) => {
        const secret = {
          variables: { x: { value: SECRET } },
          configuration: { root_module: { variables: { x: { sensitive: true } } } },
        };
        const given = plan(resource_changes.flat(), { resource_drift: resource_drift.flat(), ...secret });
        const written = commentOn(review(given));
        expect(written.length).toBeLessThan(LIMIT);
        expect(written).toContain(MARKER);
        expect(written).not.toContain("Planted-5ecret");
        const { outside, open, depth } = structure(written);
        expect({ open, depth }).toEqual({ open: undefined, depth: 0 });
        const allowed =
          /^($|\*\*|### |\| |- |`|<details><summary>.*<\/summary>$|<\/details>$|Nothing is sent to:$|_Left out)/;
        expect(outside.filter((line) => !allowed.test(line))).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });
});

describe("what the providers of a cluster say", () => {
  const release = (values: object, actions: string[], after: object | null = values) =>
    change("helm_release.alerts", { actions, before: values, after, after_unknown: { id: false, metadata: true } });
  const configuration = (address: string, ...attributes: string[]) => ({
    configuration: {
      root_module: { resources: [{ address, expressions: Object.fromEntries(attributes.map((name) => [name, {}])) }] },
    },
  });

  test("an empty map where nothing was is no drift, and one that changed beside it is", () => {
    const read = (after: object) =>
      change("kubernetes_config_map_v1.a", {
        actions: ["update"],
        before: { data: { a: "1" }, metadata: [{ labels: null }] },
        after,
      });
    const empty = read({ data: { a: "1" }, metadata: [{ labels: {} }] });
    expect(commentOn(review(plan([], { resource_drift: [empty] })))).toContain("**No changes**");
    const changed = read({ data: { a: "2" }, metadata: [{ labels: {} }] });
    expect(commentOn(review(plan([], { resource_drift: [changed] })))).toContain("Changed outside Terraform");
  });

  test("what is imported and then destroyed is told as the loss that it is", () => {
    const text = commentOn(
      review(
        plan([
          change("kubernetes_cron_job_v1.probe", {
            actions: ["delete", "create"],
            before: { spec: [{ mode: "" }] },
            after: { spec: [{ mode: "NonIndexed" }] },
            replace_paths: [["spec", 0, "mode"]],
            importing: { id: "monitoring/probe" },
          }),
        ]),
      ),
    );
    const [, losses = ""] = text.split(/^#+ .*$/m);
    expect(losses).toContain("**what exists as `monitoring/probe` is imported and then destroyed**");
  });

  test("the metadata of a release, which the provider computes, is no difference; what the site sets is", () => {
    const before = { id: "alerts", metadata: { values: "everything".repeat(100) }, values: ['{"a":1}'] };
    const text = commentOn(
      review(
        plan(
          [release(before, ["update"], { id: "alerts", values: ['{"a":2}'] })],
          configuration("helm_release.alerts", "values"),
        ),
      ),
    );
    expect(text).not.toContain("metadata");
    expect(text).not.toContain("everything");
    expect(text).toContain("values");
  });

  test("what the site sets is shown also where it is known only after the apply", () => {
    const text = commentOn(
      review(
        plan(
          [change("a.b", { actions: ["update"], before: { set: "x" }, after: {}, after_unknown: { set: true } })],
          configuration("a.b", "set"),
        ),
      ),
    );
    expect(text).toContain("(known after apply)");
  });

  test("a namespace that Helm made stays when its release goes, and what is forgotten stays too", () => {
    const text = commentOn(
      review(
        plan([
          release({ create_namespace: true, namespace: "monitoring" }, ["delete"], null),
          change("kubernetes_namespace_v1.namespace", { actions: ["forget"], before: {}, after: null }),
        ]),
      ),
    );
    expect(text).toContain("the namespace monitoring stays, with everything in it");
    expect(text).toContain("`kubernetes_namespace_v1.namespace`: Terraform forgets it, and it stays as it is");
    const other = release({ create_namespace: false, namespace: "monitoring" }, ["delete"], null);
    expect(commentOn(review(plan([other])))).not.toContain("stays");
  });

  test("a program that is marked so that no plan prints it takes no word of the report with it", () => {
    const program = `// ${"a line of a program that is long enough\n".repeat(4_000)}`;
    const text = commentOn(
      review(
        plan([
          change("kubernetes_config_map_v1.program", {
            actions: ["update"],
            before: { data: { "probe.mjs": program }, note: "a line of a program that is long enough" },
            after: { data: { "probe.mjs": `${program}//` }, note: "another" },
            before_sensitive: { data: { "probe.mjs": true } },
            after_sensitive: { data: { "probe.mjs": true } },
          }),
        ]),
      ),
    );
    expect(text).toContain("a line of a program that is long enough");
    expect(text).toContain(SENSITIVE);
    expect(text.length).toBeLessThan(2_000);
  });
});
