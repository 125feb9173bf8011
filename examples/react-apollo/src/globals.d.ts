/** Where `keywheel dev` shows its mail; empty in a build. */
declare const DEV_MAIL: string;
