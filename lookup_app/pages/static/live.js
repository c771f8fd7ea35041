// Tells when a record may have changed: by the change stream if there is one, else by asking again.

const POLL_MS = 2000;

export class Live {
  /** `ask` is called whenever the record should be read again; `tell` with a sentence about how. */
  constructor(ask, tell) {
    this.ask = ask;
    this.tell = tell;
    this.source = null;
    this.timer = null;
  }

  /** Watch one key of a dataset. `why` says why there is no stream, null: there is one. */
  start(dataset, key, why) {
    this.stop();
    if (why !== null) {
      this.poll(why);
      return;
    }
    this.source = new EventSource(`/v1/${dataset}/changes?ids=${encodeURIComponent(key)}`);
    this.source.onopen = () => {
      this.stopPolling();
      this.tell("live, through the change stream");
      this.ask();
    };
    for (const name of ["put", "delete", "reset", "epoch", "restored"]) this.source.addEventListener(name, () => this.ask());
    this.source.onerror = () => this.poll("the change stream does not answer");
  }

  stop() {
    this.source?.close();
    this.source = null;
    this.stopPolling();
  }

  poll(why) {
    this.tell(`asked for every ${POLL_MS / 1000} s: ${why}`);
    this.timer ??= setInterval(() => document.hidden || this.ask(), POLL_MS);
  }

  stopPolling() {
    clearInterval(this.timer);
    this.timer = null;
  }
}
