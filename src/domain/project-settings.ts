/**
 * What the operator says of a project to the dialects, as the configuration has it: each dialect reads its
 * own member and none other. Every default is filled in; a member is absent where the file has no such table.
 */
export interface ProjectSettings {
  readonly project: string;
}
