/**
 * The same app in the style of the CDKTF template: run by ts-node, which type-checks in every synth, and with the
 * providers' barrel files, which load every resource of a provider.
 */
import * as helm from "@cdktf/provider-helm";
import * as kubernetes from "@cdktf/provider-kubernetes";

// TypeScript drops an import that is used only as a type.
if (helm === undefined || kubernetes === undefined) throw new Error("the barrels are empty");

require("../../main");
