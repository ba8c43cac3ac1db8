/** The person's own video, played from their own file. */

/** @typedef {"none" | "waiting" | "ready" | "unplayable"} State */

export class Player {
  /**
   * @param {HTMLVideoElement} video
   * @param {{time: (time: number) => void, state: (state: State) => void}} heard Seconds of each
   * frame that is shown; and whether there is a picture.
   */
  constructor(video, heard) {
    this.video = video;
    this.heard = heard;
    /** @type {State} */
    this.state = "none";
    /** The file's address in this browser. */
    this.url = "";
    /**
     * Where to go back to after a look elsewhere.
     * @type {number | null}
     */
    this.kept = null;
    video.addEventListener("loadeddata", () => {
      this.become(video.videoWidth > 0 ? "ready" : "unplayable");
      this.told();
    });
    video.addEventListener("error", () => {
      if (this.url) this.become("unplayable");
    });
    for (const event of ["seeked", "pause", "timeupdate"]) {
      video.addEventListener(event, () => this.told());
    }
    video.addEventListener("play", () => {
      this.kept = null;
      this.follow();
    });
  }

  /** Seconds; 0 while that is not known. */
  get duration() {
    const { duration } = this.video;
    return Number.isFinite(duration) ? duration : 0;
  }

  get time() {
    return this.video.currentTime;
  }

  get ready() {
    return this.state === "ready";
  }

  /** @param {File} file */
  load(file) {
    this.clear();
    this.url = URL.createObjectURL(file);
    this.become("waiting");
    this.video.src = this.url;
  }

  clear() {
    if (!this.url) return;
    const { url } = this;
    this.url = "";
    this.kept = null;
    this.video.removeAttribute("src");
    this.video.load();
    URL.revokeObjectURL(url);
    this.become("none");
  }

  /**
   * Wait until it is known whether there is a picture.
   * @param {number} most Milliseconds.
   */
  async settled(most) {
    if (this.state !== "waiting") return;
    await new Promise((done) => {
      for (const event of ["loadeddata", "error"]) {
        this.video.addEventListener(event, done, { once: true });
      }
      setTimeout(done, most);
    });
  }

  /**
   * Go to a moment.
   * @param {number} time
   */
  seek(time) {
    this.kept = null;
    if (this.ready) this.video.currentTime = Math.min(time, this.duration || time);
  }

  /**
   * While the video stands, show another moment; null goes back.
   * @param {number | null} time
   */
  glance(time) {
    const { video } = this;
    if (!this.ready || !video.paused) return;
    if (time === null) {
      if (this.kept !== null) this.seek(this.kept);
    } else if (!video.seeking) {
      this.kept ??= video.currentTime;
      video.currentTime = time;
    }
  }

  /** @param {State} state */
  become(state) {
    if (state === this.state) return;
    this.state = state;
    this.heard.state(state);
  }

  /** Tell each frame while the video plays. */
  follow() {
    const { video } = this;
    const again = () => {
      this.told();
      if (!video.paused && !video.ended) requestAnimationFrame(again);
    };
    requestAnimationFrame(again);
  }

  told() {
    if (this.ready) this.heard.time(this.video.currentTime);
  }
}
