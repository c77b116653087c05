// Who holds what at any round, unpacked on demand from the blocks that the page carries (written by viewer/planes.py).
"use strict";
const viewerFrames = (() => {
  const KEEP = 24; // chunks kept unpacked, about half a megabyte each

  function bytes(text) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const raw = atob(text), result = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) result[i] = raw.charCodeAt(i);
    return result;
  }

  // The element that carries a block; where the browser has not read so far yet, it is waited for.
  async function carrier(id) {
    let holder = document.getElementById(id);
    if (!holder && document.readyState === "loading") {
      await new Promise((resolve) => document.addEventListener("readystatechange", resolve, { once: true }));
      holder = document.getElementById(id);
    }
    return holder;
  }

  async function unpack(id) {
    const holder = await carrier(id);
    if (!holder) throw new Error(`the page is not whole: it has no block ${id}`);
    const stream = new DecompressionStream("deflate"), writer = stream.writable.getWriter();
    const written = writer.write(bytes(holder.textContent.trim())).then(() => writer.close());
    const [block] = await Promise.all([new Response(stream.readable).arrayBuffer().then((whole) => new DataView(whole)), written]);
    const octets = new Uint8Array(block.buffer), count = block.getUint32(0, true), arrays = [];
    let place = 4 + 8 * count;
    for (let k = 0; k < count; k++) {
      const length = block.getUint32(4 + 8 * k, true), width = block.getUint32(8 + 8 * k, true);
      const values = new Uint32Array(width ? octets.subarray(place, place + length) : length); // the lowest plane
      for (let plane = 1; plane < width; plane++) {
        const from = place + plane * length;
        for (let i = 0; i < length; i++) values[i] |= octets[from + i] << (8 * plane);
      }
      place += width * length;
      arrays.push(values);
    }
    return arrays;
  }

  // Running sums; each value is what it adds to the one before it, less `step`.
  function sums(values, step) {
    let last = -step;
    for (let i = 0; i < values.length; i++) values[i] = last += values[i] + step;
    return values;
  }

  async function unpackChunk(id) {
    const [pairJob, pairShare, keySlot, keyPair, keyAge, perRound, slot, pair] = await unpack(id);
    const edge = new Uint32Array(perRound.length + 1);
    for (let r = 0; r < perRound.length; r++) {
      edge[r + 1] = edge[r] + perRound[r];
      sums(slot.subarray(edge[r], edge[r + 1]), 1);
    }
    return { pairJob: sums(pairJob, 0), pairShare, keySlot: sums(keySlot, 1), keyPair, keyAge, edge, slot, pair };
  }

  class Frames {
    constructor(run, chunkRounds) {
      Object.assign(this, { run, chunkRounds, chunks: new Map(), at: -1 });
    }

    async open() {
      const [gpusPerNode, slotsPerGpu, jobId, type, kind, arrival_s, firstRound, endRound, milli, rhoMilli, heldMilli, waitingByKind, waitingMilli] = await unpack(`${this.run.key}-base`);
      this.gpusPerNode = gpusPerNode;
      this.jobs = { id: sums(jobId, 0), type, kind, arrival_s, firstRound, endRound, milli, rhoMilli };
      this.counts = { heldMilli, waitingByKind, waitingMilli }; // of each round, by worker type, by kind of job, in all
      this.firstSlot = new Uint32Array(slotsPerGpu.length + 1);
      slotsPerGpu.forEach((count, gpu) => { this.firstSlot[gpu + 1] = this.firstSlot[gpu] + count; });
      const slots = this.firstSlot[slotsPerGpu.length];
      this.job = new Int32Array(slots).fill(-1); // of each slot: index of the job, or -1
      this.share = new Uint16Array(slots); // thousandths of the GPU
      this.since = new Int32Array(slots); // first round of the stay
      return this;
    }

    get gpus() { return this.firstSlot.length - 1; }

    chunk(index) {
      let found = this.chunks.get(index);
      if (found) this.chunks.delete(index); // and in again below, as the youngest
      else {
        found = unpackChunk(`${this.run.key}-chunk-${index}`);
        if (this.chunks.size >= KEEP) this.chunks.delete(this.chunks.keys().next().value);
      }
      this.chunks.set(index, found);
      return found;
    }

    // A chunk for one look at it, without keeping it unpacked.
    look(index) {
      return this.chunks.get(index) ?? unpackChunk(`${this.run.key}-chunk-${index}`);
    }

    // Make the chunk of a round ready before it is asked for.
    ahead(round) {
      if (round < this.run.rounds) this.chunk(Math.floor(round / this.chunkRounds)).catch(() => {});
    }

    set(chunk, slot, pair, since) {
      this.job[slot] = chunk.pairJob[pair];
      this.share[slot] = chunk.pairShare[pair];
      this.since[slot] = since;
    }

    // Bring `job`, `share` and `since` to a round of a chunk that is unpacked. It goes on from the last frame if it can.
    apply(chunk, round) {
      const start = Math.floor(round / this.chunkRounds) * this.chunkRounds;
      let from = this.at + 1;
      if (this.at < start || this.at > round) {
        this.job.fill(-1);
        for (let i = 0; i < chunk.keySlot.length; i++) this.set(chunk, chunk.keySlot[i], chunk.keyPair[i], start - chunk.keyAge[i]);
        from = start + 1;
      }
      for (let r = from; r <= round; r++) {
        for (let i = chunk.edge[r - start]; i < chunk.edge[r - start + 1]; i++) {
          if (chunk.pair[i]) this.set(chunk, chunk.slot[i], chunk.pair[i] - 1, r);
          else this.job[chunk.slot[i]] = -1;
        }
      }
      this.at = round;
    }

    clear() {
      this.job.fill(-1);
      this.at = -1;
    }

    // Of each slot the GPU that it is a part of.
    gpuOfSlot() {
      this.gpuOf ??= Uint32Array.from({ length: this.job.length }, ((gpu) => (_, slot) => { while (this.firstSlot[gpu + 1] <= slot) gpu++; return gpu; })(0));
      return this.gpuOf;
    }

    // Slots of a GPU that are held now.
    held(gpu) {
      const slots = [];
      for (let slot = this.firstSlot[gpu]; slot < this.firstSlot[gpu + 1]; slot++) if (this.job[slot] >= 0) slots.push(slot);
      return slots;
    }

    // Jobs that hold something now: {job, milli, gpus, since}, those that have held theirs longest first.
    running() {
      const found = new Map(), gpuOf = this.gpuOfSlot();
      this.job.forEach((job, slot) => {
        if (job < 0) return;
        const entry = found.get(job) ?? { job, milli: 0, gpus: [], since: 0 };
        entry.milli += this.share[slot];
        entry.gpus.push(gpuOf[slot]);
        entry.since = Math.max(entry.since, this.since[slot]);
        found.set(job, entry);
      });
      return [...found.values()].sort((a, b) => a.since - b.since || a.job - b.job);
    }

    // Jobs (indices) that are in the system at a round and hold nothing, those that have been there longest first.
    waiting(round) {
      const { firstRound, endRound, arrival_s } = this.jobs, running = new Uint8Array(firstRound.length), found = [];
      for (const job of this.job) if (job >= 0) running[job] = 1;
      for (let job = 0; job < firstRound.length; job++) {
        if (firstRound[job] <= round && endRound[job] > round && !running[job]) found.push(job);
      }
      return found.sort((a, b) => arrival_s[a] - arrival_s[b] || a - b);
    }
  }

  return { Frames, unpack };
})();
