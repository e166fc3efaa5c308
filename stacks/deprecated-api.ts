import util from "node:util";

// TerraformOutput of cdktf 0.21.0, its last release, calls util.isArray, for which Node 22 and newer print a warning
// (DEP0044) at each synth. Given the function that the warning recommends, cdktf has nothing to be warned of, and every
// other warning is still printed.
Object.assign(util, { isArray: Array.isArray });
