// Makes a release on a Forgejo or Gitea out of the folder release/, and uploads what is in it. Run again, it goes on where
// it stopped. Variables, with Woodpecker's names: CI_FORGE_URL, CI_REPO, CI_COMMIT_TAG; TOKEN.
// https://forgejo.org/docs/latest/user/api-usage/
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const { CI_FORGE_URL, CI_REPO, CI_COMMIT_TAG, TOKEN } = process.env;
const FOLDER = "release";
const NOTES = "notes.md";

const fail = (message) => {
  process.stderr.write(`error: ${message}\n`);
  process.exit(1);
};

const call = async (method, path, body, headers = {}) => {
  const response = await fetch(`${CI_FORGE_URL}/api/v1/repos/${CI_REPO}/releases${path}`, {
    method,
    redirect: "error",
    headers: { authorization: `token ${TOKEN}`, ...headers },
    body,
  }).catch((error) => fail(`${method} releases${path}: ${error.cause?.code ?? error.message}`));
  if (response.status === 404 && method === "GET") return undefined;
  if (!response.ok) fail(`${method} releases${path}: status ${response.status}`);
  return response.json();
};

const made = () =>
  call(
    "POST",
    "",
    JSON.stringify({
      tag_name: CI_COMMIT_TAG,
      name: CI_COMMIT_TAG,
      body: readFileSync(join(FOLDER, NOTES), "utf8"),
      prerelease: CI_COMMIT_TAG.includes("-"),
    }),
    { "content-type": "application/json" },
  );

const { id, assets } = (await call("GET", `/tags/${encodeURIComponent(CI_COMMIT_TAG)}`)) ?? (await made());
const there = new Set((assets ?? []).map(({ name }) => name));
for (const name of readdirSync(FOLDER).filter((file) => file !== NOTES && !there.has(file))) {
  const form = new FormData();
  form.set("attachment", new Blob([readFileSync(join(FOLDER, name))]), name);
  await call("POST", `/${id}/assets?name=${encodeURIComponent(name)}`, form);
  process.stdout.write(`uploaded ${name}\n`);
}
