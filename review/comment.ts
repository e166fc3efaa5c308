import { codeSpan, fenced } from "../text/markdown";
import { ACTIONS, type Action } from "./action";
import { pathText } from "./attributes";
import { asTexts, attributeName, differences, shortHash, valueText } from "./differences";
import { fit, type Piece, type Section } from "./fit";
import type { ResourceReview, StackReview } from "./review";

/** GitHub rejects longer comments. https://github.com/orgs/community/discussions/41331 */
export const LIMIT = 65_536;

/** Invisible text in every comment, by which a pipeline finds and updates its own. */
export const MARKER = "<!-- registry-warden plan-report -->";

/** A stack that could not be reviewed. */
export interface UnreviewedStack {
  readonly stack: string;
  /** One line. */
  readonly reason: string;
}

export interface CommentInput {
  /** In the order of deployment. */
  readonly reviews: readonly StackReview[];
  readonly unreviewed: readonly UnreviewedStack[];
  /** Full hash of the commit that was planned; undefined outside a checkout. */
  readonly commit: string | undefined;
}

const ACTION_ORDER = Object.keys(ACTIONS) as Action[];

const span = ({ address, construct }: ResourceReview): string =>
  construct === undefined ? codeSpan(address) : `${codeSpan(construct)} (${codeSpan(address)})`;

const forcing = (resource: ResourceReview): string =>
  resource.forcedBy
    .slice(0, 5)
    .map((path) => {
      const attribute = resource.attributes.find((each) => each.forces && pathText(each.path) === path);
      const short = attribute !== undefined && asTexts(attribute) === undefined;
      return short
        ? `${codeSpan(path)} is ${codeSpan(valueText(attribute.before))} and becomes ${codeSpan(valueText(attribute.after))}`
        : codeSpan(path);
    })
    .join(", ");

const why = (resource: ResourceReview): string => {
  if (resource.reason !== undefined)
    return `: ${resource.reason}${resource.delivers ? "; what it delivered stays on the host as it is" : ""}`;
  return resource.forcedBy.length === 0 ? "" : `: forced by ${forcing(resource)}`;
};

/** An object that exists already, and that is destroyed in the same step in which it is taken over. */
const taken = ({ importedId }: ResourceReview): string =>
  importedId === undefined ? "" : `; **what exists as ${codeSpan(importedId)} is imported and then destroyed**`;

const loss = (stack: string, resource: ResourceReview): Piece => ({
  kind: "destroyed or replaced resources",
  text: `- **${ACTIONS[resource.action]}** ${span(resource)} of ${stack}${why(resource)}${resource.newFirst ? "; the new one is made first" : ""}${taken(resource)}${resource.kept === undefined ? "" : `; ${resource.kept}`}`,
});

const losses = (reviews: readonly StackReview[]): Section => ({
  head: "### Destroyed or replaced\n\n",
  separator: "\n",
  pieces: (["destroy", "replace"] as const).flatMap((action) =>
    reviews.flatMap(({ stack, changes }) =>
      changes.filter((change) => change.action === action).map((change) => loss(stack, change)),
    ),
  ),
});

const actionsOf = (reviews: readonly StackReview[]): Action[] =>
  ACTION_ORDER.filter((action) => reviews.some(({ changes }) => changes.some((change) => change.action === action)));

const count = ({ changes }: StackReview, action: Action): number =>
  changes.filter((change) => change.action === action).length;

const counts = (reviews: readonly StackReview[]): Section => {
  const actions = actionsOf(reviews);
  const row = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
  const titles = ["stack", ...actions.map((action) => ACTIONS[action]), "from"];
  return {
    head: `${row(titles)}\n${row(titles.map(() => "---"))}\n`,
    separator: "\n",
    pieces: reviews.map((review) => ({
      kind: "stacks",
      text: row([
        review.stack,
        ...actions.map((action) => count(review, action)),
        review.compared === undefined ? "plan" : "comparison",
      ]),
    })),
  };
};

const details = (resource: ResourceReview): string =>
  [
    resource.previousAddress === undefined ? "" : `, moved from ${codeSpan(resource.previousAddress)}`,
    resource.importedId === undefined ? "" : `, taken over as ${codeSpan(resource.importedId)}`,
    resource.action === "deliver" ? `: ${delivered(resource)}` : "",
    resource.action === "forget" ? ": Terraform forgets it, and it stays as it is" : "",
  ].join("");

/** Why files are delivered again: Terraform's reason, or the names of the changed files. */
const delivered = ({ reason, attributes }: ResourceReview): string =>
  reason ??
  attributes
    .filter(({ forces }) => forces)
    .map((attribute) => codeSpan(attributeName(attribute)))
    .join(", ");

/** Without those that are destroyed or replaced, which are listed at the top. */
const addresses = (reviews: readonly StackReview[]): Section[] =>
  actionsOf(reviews)
    .filter((action) => action !== "destroy" && action !== "replace")
    .map((action) => ({
      head: `**${ACTIONS[action].charAt(0).toUpperCase()}${ACTIONS[action].slice(1)}**\n\n`,
      separator: "\n",
      pieces: reviews.flatMap(({ changes }) =>
        changes
          .filter((change) => change.action === action)
          .map((change): Piece => ({ kind: "addresses", text: `- ${span(change)}${details(change)}` })),
      ),
    }));

const drift = (reviews: readonly StackReview[]): Section => ({
  head: "### Changed outside Terraform\n\n",
  separator: "\n\n",
  pieces: reviews.flatMap((review) =>
    review.drift.map((resource): Piece => {
      const what = resource.action === "destroy" ? "is gone" : "was changed";
      const shown = differences(resource).map(({ text }) => text);
      return {
        kind: "changes outside Terraform",
        text: [`${span(resource)} of ${review.stack} ${what}`, ...shown].join("\n\n"),
      };
    }),
  ),
});

const deferred = (reviews: readonly StackReview[]): Section => ({
  head: "### Deferred\n\nNothing is sent to:\n\n",
  separator: "\n",
  pieces: reviews.flatMap((review) =>
    Object.entries(review.deferred).map(
      ([host, reason]): Piece => ({
        kind: "deferred hosts",
        text: `- ${codeSpan(host)}: ${codeSpan(reason)}`,
      }),
    ),
  ),
});

const stackNotes = ({ stack, compared, errored, first, outputs, changes }: StackReview): string[] => [
  ...(compared !== undefined && changes.length > 0
    ? [
        `**${stack}** was compared with what the merge base synthesises, because it could not be planned with its state (${codeSpan(compared)}): only a plan shows whether Terraform updates or replaces, and what was changed outside it`,
      ]
    : []),
  ...(errored ? [`**${stack}** is incomplete: Terraform failed while it planned`] : []),
  ...(first && changes.length > 0 ? [`**${stack}** has no state yet: everything in it is new`] : []),
  ...(outputs.length > 0 ? [`**${stack}** changes outputs: ${outputs.map(codeSpan).join(", ")}`] : []),
];

const notes = ({ reviews, unreviewed }: CommentInput): Section => ({
  head: "",
  separator: "\n",
  pieces: [
    ...unreviewed.map(({ stack, reason }) => `**${stack}** is not in this report: ${codeSpan(reason)}`),
    ...reviews.flatMap(stackNotes),
  ].map((text) => ({ kind: "notes", text: `- ${text}` })),
});

const apply = (reviews: readonly StackReview[]): string => {
  const stacks = reviews.filter(hasChanges).map(({ stack }) => stack);
  if (stacks.length === 0) return "";
  // cdktf rejects a stack without its dependencies, even if nothing in these changes.
  const options = stacks.length < reviews.length ? ["--ignore-missing-stack-dependencies"] : [];
  return `### Apply\n\n${fenced("sh", ["npm run cdktf -- deploy", ...stacks, ...options].join(" "))}`;
};

const hasChanges = ({ changes, outputs }: StackReview): boolean => changes.length + outputs.length > 0;

/** A digest of the contents of the plans, equal for equal plans on every machine (12 hexadecimal digits). */
export const fingerprint = ({ reviews, unreviewed }: Pick<CommentInput, "reviews" | "unreviewed">): string =>
  shortHash(JSON.stringify({ reviews, unreviewed }));

const identifiedBy = (input: CommentInput): string => {
  const plan = `plan ${codeSpan(fingerprint(input))}`;
  return input.commit === undefined ? plan : `commit ${codeSpan(input.commit.slice(0, 12))}, ${plan}`;
};

const headline = (reviews: readonly StackReview[]): string => {
  const all = reviews.flatMap(({ changes }) => changes);
  const parts = actionsOf(reviews).map(
    (action) => `${all.filter((change) => change.action === action).length} to ${ACTIONS[action]}`,
  );
  return parts.length === 0 ? "no resource changes" : parts.join(", ");
};

/**
 * The comment on a pull request: losses first, then counts, addresses, differences, and how to apply it. It is always
 * shorter than 65,536 characters; its end says what was left out for that.
 */
export const comment = (input: CommentInput): string => {
  const { reviews, unreviewed } = input;
  const quiet =
    unreviewed.length === 0 &&
    reviews.every((review) => !hasChanges(review) && review.drift.length === 0 && !review.errored);
  if (quiet) {
    const stacks = reviews.map(({ stack }) => stack).join(", ");
    return `**No changes** in ${stacks === "" ? "any stack" : stacks} (${identifiedBy(input)}) ${MARKER}`;
  }
  const differencesSection: Section = {
    head: "### Differences\n\n",
    separator: "\n\n",
    pieces: reviews.flatMap(({ changes }) => changes.flatMap(differences)),
  };
  return fit(
    `**Plan: ${headline(reviews)}** (${identifiedBy(input)}) ${MARKER}`,
    [
      losses(reviews),
      counts(reviews),
      notes(input),
      ...addresses(reviews),
      differencesSection,
      drift(reviews),
      deferred(reviews),
    ],
    apply(reviews),
    LIMIT,
  );
};
