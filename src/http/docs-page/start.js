/** Starts Swagger UI. Runs in the browser, as it is. */

const dark = matchMedia("(prefers-color-scheme: dark)");
const shade = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", shade);
shade();

/** Who logs in on this page is authorised for the rest of it, and no longer after a logout. */
function followSession({ ok, body }, pathname) {
  if (!ok) return;
  if (pathname === "/auth/login" || pathname === "/auth/refresh") {
    const bearer = { name: "bearer", schema: { type: "http", scheme: "bearer" }, value: body.access_token };
    ui.authActions.authorizeWithPersistOption({ bearer });
  }
  if (pathname === "/auth/logout") ui.authActions.logoutWithPersistOption(["bearer"]);
}

/** Where a task's id is asked for: method, path, name of the parameter. */
const ASKED = [
  ["get", "/tasks/{task}", "task"],
  ["get", "/tasks/{task_id}/logs", "task_id"],
  ["post", "/tasks/{task_id}/cancel", "task_id"],
  ["post", "/tasks/{task_id}/retry", "task_id"],
];

/** The task just submitted is the one to be read next. */
function followTask({ status, body }, pathname) {
  if (status !== 202 || !pathname.startsWith("/tasks/") || !body?.task_id) return;
  for (const [method, path, name] of ASKED) ui.specActions.changeParam([path, method], name, "path", body.task_id, false);
}

const ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  // The validator's badge would come from another origin.
  validatorUrl: null,
  responseInterceptor(response) {
    const { pathname } = new URL(response.url, location.href);
    followSession(response, pathname);
    followTask(response, pathname);
    return response;
  },
});
