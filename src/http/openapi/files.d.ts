/** Imported as files: what is given is where the file is, also in a program that was compiled. */
declare module "swagger-ui-dist/*" {
  const path: string;
  export default path;
}
