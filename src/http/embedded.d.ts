/** Files that are imported `with { type: "file" }`, by path, or `with { type: "text" }`, whole. */

declare module "swagger-ui-dist/swagger-ui-bundle.js" {
  const path: string;
  export default path;
}

declare module "*.css" {
  const pathOrText: string;
  export default pathOrText;
}

declare module "*.png" {
  const path: string;
  export default path;
}

declare module "*/docs-page/start.js" {
  const text: string;
  export default text;
}
