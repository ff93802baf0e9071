// The principals that the client has met, for mentions and for names beside numbers.

import type { Principal } from '../api';

class People {
  #byId = new Map<number, Principal>();
  #idByName = new Map<string, number>();

  meet(people: Iterable<Principal>): void {
    for (const person of people) {
      this.#byId.set(person.id, person);
      this.#idByName.set(person.name.toLowerCase(), person.id);
    }
  }

  byId(id: number): Principal | undefined {
    return this.#byId.get(id);
  }

  idOf(name: string): number | undefined {
    return this.#idByName.get(name.toLowerCase());
  }

  all(): Principal[] {
    return [...this.#byId.values()];
  }
}

export const people = new People();
