import { hash, truncates } from "bcryptjs";
import { RegistryError } from "./oci/errors";

/**
 * bcrypt's cost: the registry computes the hash on every request, so each step halves the number it can answer. bcrypt's lowest
 * cost is enough for a random password that cannot be guessed.
 */
export const COST = { person: 10, random: 4 } as const;

/** A user name that is valid in HTTP Basic and in the file: RFC 7617, section 2; a line that starts with "#" is a comment. */
export const isUser = (text: string): boolean => /^[^\s:#\p{Cc}][^\s:\p{Cc}]*$/u.test(text);

/**
 * One line of an htpasswd file, with a bcrypt hash: the registry supports no other kind.
 *
 * @throws RegistryError `bad-input` for a password that bcrypt would truncate, or that no client can send
 */
export const htpasswdLine = async (user: string, password: string, cost: number): Promise<string> => {
  const refusal = refusedPassword(password);
  if (refusal !== undefined) throw new RegistryError("bad-input", `given a password ${refusal}`, "give another");
  return `${user}:${await hash(password, cost)}\n`;
};

const refusedPassword = (password: string): string | undefined => {
  if (password === "") return "that is empty, and needs 1 to 72 bytes";
  if (/\p{Cc}/u.test(password)) return "with a line break or another control character";
  return truncates(password) ? "of more than 72 bytes, of which bcrypt ignores the rest" : undefined;
};
