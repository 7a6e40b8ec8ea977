// Websockets of the consoles: they come again by themselves when the service processor restarts.
export const socketAddress = (path: string): string => `wss://${location.host}${path}`;

export const againAfter = 700; // ms; lom-web is back within a second
