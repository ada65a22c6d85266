"""The two recipes of the README, run as they are written there, but for the addresses."""

import re
import shutil

import pytest
from people import Person
from servers import DEMO, ROOT, SECRET, Server

README = (ROOT / "README.md").read_text()
PLACEHOLDERS = {
    "https://app.example.com": "{page}",
    "the-very-same-secret-as-on-the-better-auth-server": SECRET,
}

# What Next.js does for an application: routes by path, and Better Auth at its own.
HARNESS = """
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { toNodeHandler } from "better-auth/node";
import { auth } from "./auth.js";
const routeOf = async (path) => existsSync(`app${path}/route.js`) && import(`./app${path}/route.js`);
const route = await routeOf("/api/token");
const all = await routeOf("/api/auth/[...all]");
const betterAuth = toNodeHandler(all ? (request) => all[request.method](request) : auth);
createServer(async (request, response) => {
  if (request.url !== "/api/token") return betterAuth(request, response);
  const answer = await route.GET(new Request("http://x/api/token", { headers: request.headers }));
  response.writeHead(answer.status).end(await answer.text());
}).listen(Number(process.env.PORT), "127.0.0.1");
"""


def recipe(title):
    """The code of one recipe: files by name, and the environment of the backend."""
    section = re.search(rf"^### {title}$(.*?)^##", README, re.MULTILINE | re.DOTALL)[1]
    files = dict(re.findall(r"`([\w/.\[\]]+\.js)`:\n\n```js\n(.*?)```", section, re.DOTALL))
    environment = re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1]
    return files, dict(line.split("=", 1) for line in environment.splitlines())


@pytest.mark.parametrize(
    ("title", "mode", "expected_files"),
    [
        ("With the jwt plugin", "jwks", {"auth.js", "app/api/auth/[...all]/route.js"}),
        ("With a shared secret", "secret", {"auth.js", "app/api/token/route.js"}),
    ],
)
def test_a_recipe_works_as_written(title, mode, expected_files, own_stack, tmp_path):
    files, environment = recipe(title)
    assert files.keys() == expected_files
    stack = own_stack(mode)
    stack.demo.stop()
    stack.backend.stop()

    folder = tmp_path / "application"
    folder.mkdir()
    (folder / "node_modules").symlink_to(DEMO / "node_modules")
    shutil.copy(DEMO / "package.json", folder)
    for name, code in {**files, "harness.js": HARNESS}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(code)
    application = Server(
        ["node", "harness.js"],
        folder=folder,
        environment={
            "PORT": stack.page_url.rpartition(":")[2],
            "BETTER_AUTH_URL": stack.page_url,
            "BETTER_AUTH_SECRET": SECRET,
        },
        ready_at=f"{stack.page_url}/api/auth/ok",
        log=tmp_path / "application.log",
    )
    filled_in = {
        variable: PLACEHOLDERS[value].replace("{page}", stack.page_url)
        for variable, value in environment.items()
    }
    blank = {"BETTER_AUTH_SECRET": "", "BETTER_AUTH_URL": ""}
    stack.others.append(application)
    application.start()
    stack.start_backend(**{**blank, **filled_in})

    tina = Person(stack, "Tina").sign_up()

    assert tina.call("GET", "/me") == (
        200,
        {"id": tina.id, "email": "tina@example.com", "name": "Tina"},
    )
