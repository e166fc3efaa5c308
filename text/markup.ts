const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Text as the content or a quoted attribute of HTML and XML. XML cannot represent most control characters.
 *
 * https://www.w3.org/TR/xml/#charsets
 */
export const markup = (text: string): string =>
  text
    .replace(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd]/g, "?")
    .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
