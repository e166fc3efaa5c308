import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { inflateRawSync } from "node:zlib";

export interface PlantedSecret {
  readonly username: string;
  readonly password: string;
}

/** Credentials that look different in each encoding, and occur nowhere by chance. */
export const PLANTED: PlantedSecret = { username: "planted-user", password: 'pl4nted"secret/with+all ünder?the&sun' };

const base64 = (text: string): string => Buffer.from(text).toString("base64").replace(/=+$/, "");

/** The forms in which a password may leak: plain, in JSON, in a URL, in base64, as a Basic Authorization. */
export const formsOf = ({ username, password }: PlantedSecret): string[] => [
  password,
  JSON.stringify(password).slice(1, -1),
  encodeURIComponent(password),
  base64(password),
  base64(`${username}:${password}`),
];

/** The forms that occur in a text or in the bytes of a file. */
export const leaksIn = (content: string | Buffer, secret: PlantedSecret = PLANTED): string[] => {
  const bytes = Buffer.from(content);
  return formsOf(secret).filter((form) => bytes.includes(form));
};

/**
 * The members of a zip archive, such as a Terraform plan file.
 *
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, section 4.3.12
 */
const members = (archive: Buffer): Buffer[] => {
  const found: Buffer[] = [];
  const CENTRAL = "PK\x01\x02";
  for (let at = archive.indexOf(CENTRAL); at !== -1; at = archive.indexOf(CENTRAL, at + 4)) {
    const [method, size, local] = [
      archive.readUInt16LE(at + 10),
      archive.readUInt32LE(at + 20),
      archive.readUInt32LE(at + 42),
    ];
    const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
    const bytes = archive.subarray(start, start + size);
    found.push(method === 0 ? bytes : inflateRawSync(bytes));
  }
  return found;
};

const filesIn = (path: string): string[] =>
  statSync(path).isDirectory() ? readdirSync(path).flatMap((name) => filesIn(join(path, name))) : [path];

/** The files below a folder that contain the secret, including inside archives. */
export const leakingFiles = (folder: string, secret: PlantedSecret = PLANTED): string[] =>
  filesIn(folder)
    .filter((file) => {
      const bytes = readFileSync(file);
      const contents = bytes.subarray(0, 2).toString() === "PK" ? [bytes, ...members(bytes)] : [bytes];
      return contents.some((each) => leaksIn(each, secret).length > 0);
    })
    .map((file) => relative(folder, file));
