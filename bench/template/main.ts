/**
 * The same app as the CDKTF template would have it: run by ts-node, which checks every type at each synth, and with the
 * providers' barrels, which load every resource of a provider.
 */
import * as helm from "@cdktf/provider-helm";
import * as kubernetes from "@cdktf/provider-kubernetes";

// TypeScript drops an import that is only looked at.
if (helm === undefined || kubernetes === undefined) throw new Error("the barrels are empty");

require("../../main");
