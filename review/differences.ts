import { createHash } from "node:crypto";
import { lineDiff } from "../text/line-diff";
import { codeSpan, cut, fenced, folded, html, visible } from "../text/markdown";
import { plural } from "../text/plural";
import { type AttributeChange, pathText, type Shown } from "./attributes";
import type { Piece } from "./fit";
import { SENSITIVE } from "./redaction";
import type { ResourceReview } from "./review";

/** The displayed name of a resource. */
export const name = ({ address, construct }: ResourceReview): string => construct ?? address;

/** Longer values are compared line by line. */
const LONGEST_VALUE = 200;

/** A text with a longer line, or of such a size, is not hand-written: its digest says more than its difference. */
const LONGEST_LINE = 1000;
const LARGEST_TEXT = 64 * 1024;

const isText = (shown: Shown): shown is { kind: "value"; value: string } =>
  shown.kind === "value" &&
  typeof shown.value === "string" &&
  (shown.value.includes("\n") || shown.value.length > LONGEST_VALUE);

/** JSON is compared by its structure, indented. */
const laidOut = (text: string): string => {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return `${JSON.stringify(JSON.parse(text), null, 2)}\n`;
  } catch {
    return text;
  }
};

/** Both sides of an attribute as texts, if at least one is a text and the other a string or absent. */
export const asTexts = ({ before, after }: AttributeChange): readonly [string, string] | undefined => {
  const text = (shown: Shown): string | undefined =>
    shown.kind === "absent"
      ? ""
      : shown.kind === "value" && typeof shown.value === "string"
        ? laidOut(shown.value)
        : undefined;
  const [old, now] = [text(before), text(after)];
  return (isText(before) || isText(after)) && old !== undefined && now !== undefined ? [old, now] : undefined;
};

const isBundle = (text: string): boolean =>
  text.length > LARGEST_TEXT || text.split("\n").some((line) => line.length > LONGEST_LINE);

/** One side of a change, on one line. */
export const valueText = (shown: Shown): string => {
  switch (shown.kind) {
    case "absent":
      return "(none)";
    case "unknown":
      return "(known after apply)";
    case "sensitive":
      return SENSITIVE;
    case "value":
      return JSON.stringify(shown.value);
  }
};

/** The start of a text's SHA-256 (12 hexadecimal digits). */
export const shortHash = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 12);

const size = (text: string): string => `${Math.ceil(Buffer.byteLength(text) / 1024)} KiB`;

/** A file in a map is named by its key only. */
export const attributeName = ({ path }: AttributeChange): string =>
  path.length === 2 && typeof path[1] === "string" && (path[0] === "triggers_replace" || path[0] === "data")
    ? path[1]
    : pathText(path);

const MOST_LINES = 400;

const diffBody = (lines: readonly string[]): string => {
  const shownLines = lines.slice(0, MOST_LINES).map((line) => cut(visible(line), LONGEST_LINE + 1));
  const left = lines.length - shownLines.length;
  return fenced("diff", [...shownLines, ...(left > 0 ? [`… ${plural(left, "more line")}`] : [])].join("\n"));
};

const bundleLine = (title: string, [old, now]: readonly [string, string]): string => {
  const from = old === "" ? "new" : `${codeSpan(shortHash(old))}, ${size(old)}`;
  const to = now === "" ? "gone" : `${codeSpan(shortHash(now))}, ${size(now)}`;
  return `${title}: ${from} → ${to}`;
};

const isNew = (attribute: AttributeChange): boolean => attribute.before.kind === "absent";

const textPiece = (resource: ResourceReview, attribute: AttributeChange, both: readonly [string, string]): Piece => {
  if (both.some(isBundle))
    return {
      kind: "attributes",
      text: bundleLine(`${codeSpan(attributeName(attribute))} of ${codeSpan(name(resource))}`, both),
    };
  const { added, removed, lines } = lineDiff(...both);
  const what = isNew(attribute)
    ? `new, ${plural(added, "line")}`
    : attribute.after.kind === "absent"
      ? `gone, ${plural(removed, "line")}`
      : `+${added} −${removed}`;
  const summary = `<code>${html(attributeName(attribute))}</code> of <code>${html(name(resource))}</code>: ${what}`;
  return { kind: isNew(attribute) ? "new files" : "diffs", text: folded(summary, diffBody(lines)) };
};

const attributeLines = (attribute: AttributeChange): string[] => [
  ...(isNew(attribute) ? [] : [`- ${pathText(attribute.path)} = ${valueText(attribute.before)}`]),
  ...(attribute.after.kind === "absent" ? [] : [`+ ${pathText(attribute.path)} = ${valueText(attribute.after)}`]),
];

/** The texts of a resource one by one, and the rest of its attributes together. */
export const differences = (resource: ResourceReview): Piece[] => {
  const compared = resource.attributes.map((attribute) => ({ attribute, both: asTexts(attribute) }));
  const rest = compared.filter(({ both }) => both === undefined).map(({ attribute }) => attribute);
  const summary = `<code>${html(name(resource))}</code>: ${plural(rest.length, "attribute")}`;
  return [
    ...compared.flatMap(({ attribute, both }) => (both === undefined ? [] : [textPiece(resource, attribute, both)])),
    ...(rest.length === 0
      ? []
      : [
          {
            kind: resource.action === "create" ? "new attributes" : "attributes",
            text: folded(summary, diffBody(rest.flatMap(attributeLines))),
          } as const,
        ]),
  ];
};
