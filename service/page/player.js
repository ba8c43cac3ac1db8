/** The person's own video, played from their own file. */

/** @typedef {"none" | "waiting" | "ready" | "unplayable"} State */

/** Milliseconds that the first frame may take to show once it is there. */
const PATIENCE = 300;

/**
 * Seconds are counted from the first frame, as the service counts them. Browsers have clocks of
 * their own: where the sound comes first, or the file's times do not begin at 0, their 0 is earlier.
 */
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
    /** When the browser's clock shows the first frame. */
    this.first = 0;
    /** @type {Promise<number>} */
    this.firstShown = Promise.resolve(0);
    /**
     * Where to go back to after a look elsewhere, on the browser's clock.
     * @type {number | null}
     */
    this.kept = null;
    this.settle = () => {};
    video.addEventListener("loadeddata", () => void this.arrive());
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
    return Number.isFinite(duration) ? Math.max(0, duration - this.first) : 0;
  }

  get time() {
    return Math.max(0, this.video.currentTime - this.first);
  }

  get ready() {
    return this.state === "ready";
  }

  /** @param {File} file */
  load(file) {
    this.clear();
    this.url = URL.createObjectURL(file);
    this.become("waiting");
    this.firstShown = whenFirstShown(this.video);
    this.video.src = this.url;
  }

  /** The browser has the first frame, or something without pictures. */
  async arrive() {
    const { url, video } = this;
    if (!(video.videoWidth > 0)) return this.become("unplayable");
    const late = new Promise((/** @type {(time: number) => void} */ tell) => {
      setTimeout(() => tell(0), PATIENCE);
    });
    const { firstShown } = this;
    const first = await Promise.race([firstShown, late]);
    if (url !== this.url) return;
    this.first = first;
    this.become("ready");
    this.told();
    // A page that is not to be seen shows no frames before it is.
    const known = await firstShown;
    if (url !== this.url || known === this.first) return;
    this.first = known;
    this.heard.state(this.state);
    this.told();
  }

  clear() {
    if (!this.url) return;
    const { url } = this;
    this.url = "";
    this.first = 0;
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
    await new Promise((/** @type {(value?: unknown) => void} */ done) => {
      this.settle = done;
      setTimeout(done, most);
    });
  }

  /**
   * Go to a moment.
   * @param {number} time
   */
  seek(time) {
    this.kept = null;
    if (this.ready) this.video.currentTime = Math.min(time, this.duration || time) + this.first;
  }

  /**
   * While the video stands, show another moment; null goes back.
   * @param {number | null} time
   */
  glance(time) {
    const { video } = this;
    if (!this.ready || !video.paused) return;
    if (time === null) {
      if (this.kept !== null) video.currentTime = this.kept;
      this.kept = null;
    } else if (!video.seeking) {
      this.kept ??= video.currentTime;
      video.currentTime = time + this.first;
    }
  }

  /** @param {State} state */
  become(state) {
    if (state === this.state) return;
    this.state = state;
    if (state !== "waiting") this.settle();
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
    if (this.ready) this.heard.time(this.time);
  }
}

/**
 * When the next video of an element shows its first frame, on the browser's clock.
 * @param {HTMLVideoElement} video
 * @returns {Promise<number>} 0 where that cannot be told.
 */
function whenFirstShown(video) {
  if (!("requestVideoFrameCallback" in video)) return Promise.resolve(0);
  return new Promise((tell) => {
    // Of one that plays already, the frame that is shown may be another.
    video.requestVideoFrameCallback((_, { mediaTime }) => tell(video.currentTime > 0 ? 0 : mediaTime));
  });
}
