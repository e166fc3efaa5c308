import { composeUnit, unitArgument } from "../../hosts/systemd-unit";

test("the unit brings the project up after Docker, and stops it at shutdown", () => {
  const unit = composeUnit("/opt/registry/docker-compose.yml");
  expect(unit).toContain("Requires=docker.service\nAfter=docker.service network-online.target");
  expect(unit).toContain('--file "/opt/registry/docker-compose.yml" up --detach --remove-orphans');
  expect(unit).toContain('--file "/opt/registry/docker-compose.yml" stop');
});

test.each([
  ["/srv/a b", '"/srv/a b"'],
  ['/srv/a"b', '"/srv/a\\"b"'],
  ["/srv/a\\b", '"/srv/a\\\\b"'],
  ["/srv/100%", '"/srv/100%%"'],
  ["/srv/$HOME", '"/srv/$$HOME"'],
])("the path %s is one argument, without specifiers and variables", (path, argument) => {
  expect(unitArgument(path)).toBe(argument);
});
