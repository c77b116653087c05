// Where one job ran, and when, read out of the chunks that the page carries: its stays, and who shared its GPUs.
"use strict";
const viewerHistory = (() => {
  // The stays within a chunk on every GPU that the job holds there. `first` is the chunk's first round, `end` the one after
  // its last.
  function staysIn(chunk, first, end, job, gpuOf) {
    const mine = new Set(), gpus = new Set(), stays = [], open = new Map();
    chunk.pairJob.forEach((owner, pair) => { if (owner === job) mine.add(pair); });
    if (!mine.size) return stays;
    chunk.keySlot.forEach((slot, i) => { if (mine.has(chunk.keyPair[i])) gpus.add(gpuOf[slot]); });
    chunk.slot.forEach((slot, i) => { if (mine.has(chunk.pair[i] - 1)) gpus.add(gpuOf[slot]); });
    const begin = (slot, pair, start) => {
      const stay = { slot, gpu: gpuOf[slot], job: chunk.pairJob[pair], share: chunk.pairShare[pair], start, end };
      stays.push(stay);
      open.set(slot, stay);
    };
    chunk.keySlot.forEach((slot, i) => { if (gpus.has(gpuOf[slot])) begin(slot, chunk.keyPair[i], first - chunk.keyAge[i]); });
    for (let round = first; round < end; round++) {
      for (let i = chunk.edge[round - first]; i < chunk.edge[round - first + 1]; i++) {
        const slot = chunk.slot[i];
        if (!gpus.has(gpuOf[slot])) continue;
        if (open.has(slot)) open.get(slot).end = round;
        open.delete(slot);
        if (chunk.pair[i]) begin(slot, chunk.pair[i] - 1, round);
      }
    }
    return stays;
  }

  // All stays of a job, and of those on the same GPUs while it was there, whole where they go over chunks.
  async function staysOf(frames, job, from, to) {
    const whole = new Map(), { chunkRounds, run } = frames, gpuOf = frames.gpuOfSlot();
    for (let first = from - (from % chunkRounds); first < to; first += chunkRounds) {
      const end = Math.min(first + chunkRounds, run.rounds), chunk = await frames.look(first / chunkRounds);
      for (const stay of staysIn(chunk, first, end, job, gpuOf)) {
        const key = `${stay.slot} ${stay.start}`, known = whole.get(key);
        if (known) known.end = stay.end;
        else whole.set(key, stay);
      }
    }
    return [...whole.values()];
  }

  // The job's time cut into stretches in which it holds the same GPUs: {start, end, held, others}, in order. `held` are its
  // stays, none in a stretch in which it waits between two others; `others` are stays of jobs on the same GPUs.
  function stretches(stays, job) {
    const own = stays.filter((stay) => stay.job === job), others = stays.filter((stay) => stay.job !== job);
    const cuts = [...new Set(own.flatMap(({ start, end }) => [start, end]))].sort((a, b) => a - b), found = [];
    const name = (held) => held.map(({ gpu, share }) => `${gpu}:${share}`).join();
    for (let i = 0; i + 1 < cuts.length; i++) {
      const [start, end] = [cuts[i], cuts[i + 1]];
      const held = own.filter((stay) => stay.start <= start && stay.end >= end).sort((a, b) => a.gpu - b.gpu), last = found.at(-1);
      if (last && name(last.held) === name(held)) last.end = end;
      else found.push({ start, end, held });
    }
    for (const stretch of found) {
      const gpus = new Set(stretch.held.map(({ gpu }) => gpu));
      stretch.others = others.filter(({ gpu, start, end }) => gpus.has(gpu) && start < stretch.end && end > stretch.start);
    }
    return found;
  }

  return { staysOf, stretches };
})();
