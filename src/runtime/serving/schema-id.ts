/** The name under which services and the AsyncAPI document mean the same schema. */
export function schemaId(name: string): string {
  return `urn:imodel:schema:${name}`;
}
