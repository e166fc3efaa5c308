import util from "node:util";

// TerraformOutput of cdktf 0.21.0, its last release, calls util.isArray, for which Node 22 and newer print a warning (DEP0044) in
// each synth. Replacing it with the function that the warning recommends silences this warning, and every other one is still
// printed.
Object.assign(util, { isArray: Array.isArray });
