// What a job's page says of it beyond what the map needs, unpacked when it is first asked for (written by viewer/details.py).
"use strict";
const viewerDetails = (() => {
  const lines = (octets) => new TextDecoder().decode(Uint8Array.from(octets)).split("\n");

  class Details {
    constructor(frames, shown) {
      Object.assign(this, { frames, shown, opened: null });
    }

    // Resolves to itself, ready to answer.
    open() {
      this.opened ??= viewerFrames.unpack(`${this.frames.run.key}-jobs`).then((arrays) => {
        const next = arrays.values(), take = () => next.next().value;
        this.numbers = Object.fromEntries(this.shown.jobNumbers.map(([name, factor]) => [name, { stored: take(), factor }]));
        this.heldFrom = take();
        this.heldTo = take();
        this.words = Object.fromEntries(this.shown.jobWords.map((name) => [name, { texts: lines(take()), index: take() }]));
        this.ids = new Map(Array.from(this.frames.jobs.id, (id, job) => [id, job]));
        return this;
      });
      return this.opened;
    }

    // A number of a job as its table has it, or null where that says nothing.
    number(name, job) {
      const { stored, factor } = this.numbers[name];
      return stored[job] ? (stored[job] - 1) / factor : null;
    }

    word(name, job) {
      const { texts, index } = this.words[name];
      return texts[index[job]] ?? "";
    }

    // The index of the job with an id, or undefined.
    find(id) {
      return this.ids.get(id);
    }
  }

  return { Details };
})();
