import { isScanThread, serveScan } from "../registry/storage/scan-threads";

// Where the bundle begins: a thread of a scan loads no command, which would take longer than a small store.
if (isScanThread) serveScan();
else require("./warden");
