import { isScanThread, serveScan } from "../registry/storage/scan-threads";

// Entry point of the bundle: a scan's thread loads no commands, which would take longer than scanning a small store.
if (isScanThread) serveScan();
else require("./warden");
