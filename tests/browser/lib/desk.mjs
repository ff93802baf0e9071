// What many conversations begin with: a running server, an administrator, and a room.

import { Api } from './api.mjs';
import { Server } from './server.mjs';

/** A server with the administrator ana.ruiz, who has made the room bonds; and her way to its API. */
export async function desk() {
  const password = 'correct horse battery';
  const server = await Server.make();
  await server.addUser('ana.ruiz', password, '--admin');
  await server.start();
  const api = await Api.signedIn(server.url, 'ana.ruiz', password);
  const room = (await api.room((await api.category('Desks')).id, 'bonds')).id;
  return { server, api, room };
}
