import { hash, truncates } from "bcryptjs";
import { RegistryError } from "./oci/errors";

/**
 * What a registry can be asked with by a person: it computes the hash on every request, so each step of the cost halves how
 * many it answers. The lowest that bcrypt knows is enough for a password that cannot be guessed.
 */
export const COST = { person: 10, random: 4 } as const;

/** A user name as HTTP's Basic scheme and the file take it: RFC 7617, section 2; a line that begins with "#" is a comment. */
export const isUser = (text: string): boolean => /^[^\s:#\p{Cc}][^\s:\p{Cc}]*$/u.test(text);

/**
 * One line of an htpasswd file, with a bcrypt hash: the registry knows no other kind.
 *
 * @throws RegistryError `bad-input` for a password that bcrypt would cut, or that no client can send
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
