// What a browser does alone: sends a file, plays a moment and stops at its end.
(() => {
  "use strict";
  const by = (id) => document.getElementById(id);
  let moment = null; // {start_s, end_s, button} that is played

  // Playing

  function stop_playing() {
    if (moment) moment.button.removeAttribute("aria-current");
    moment = null;
  }

  function play(button) {
    const video = by("player");
    if (!video || !video.src || !video.offsetParent) return;
    stop_playing();
    moment = {
      start_s: Number(button.dataset.startS),
      end_s: Number(button.dataset.endS),
      button: button,
    };
    button.setAttribute("aria-current", "true");
    video.currentTime = moment.start_s;
    const shown = video.getBoundingClientRect();
    if (shown.top < 0 || shown.bottom > window.innerHeight) video.scrollIntoView({ block: "start" });
    video.play().catch(() => {});
  }

  function follow() {
    const video = by("player");
    if (!video) return;
    if (moment && video.currentTime >= moment.end_s) {
      const end_s = moment.end_s;
      stop_playing();
      video.pause();
      video.currentTime = end_s;
    }
    const share = video.duration ? video.currentTime / video.duration : 0;
    document.documentElement.style.setProperty("--at", share.toFixed(4));
  }

  function each_picture() {
    follow();
    const video = by("player");
    if (video && !video.paused) requestAnimationFrame(each_picture);
  }

  // Events of a player do not bubble; they are seen on their way down.
  for (const name of ["timeupdate", "seeked", "loadedmetadata"]) {
    document.addEventListener(name, follow, true);
  }
  document.addEventListener("play", each_picture, true);
  document.addEventListener("seeking", (event) => {
    // Somebody went elsewhere: then it plays on.
    const at_s = event.target.currentTime;
    if (moment && (at_s < moment.start_s - 0.05 || at_s > moment.end_s + 0.05)) stop_playing();
  }, true);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.m-moment");
    if (button) play(button);
    if (event.target.closest(".m-choice")) refuse("");
  });

  // Uploading

  // Another video is looked at: what was refused before is over.
  document.addEventListener("loadstart", () => refuse(""), true);

  function refuse(text) {
    by("upload-refused").textContent = text;
  }

  function send(input) {
    const file = input.files[0];
    if (!file) return;
    refuse("");
    const most = Number(input.dataset.mostBytes);
    if (file.size > most) {
      refuse(`The file is larger than ${most / 1e6} MB, which is the most taken here.`);
      input.value = "";
      return;
    }
    const bar = by("upload-progress");
    const request = new XMLHttpRequest();
    request.open("POST", input.dataset.url);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("X-File-Name", encodeURIComponent(file.name.slice(-200)));
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) bar.value = event.loaded / event.total;
    };
    request.onload = () => {
      if (request.status !== 200) refuse(request.responseText || "The upload was refused.");
    };
    request.onerror = () => refuse("The upload broke off, or the server refused it.");
    request.onloadend = () => {
      bar.hidden = true;
      input.disabled = false;
      input.value = "";
    };
    bar.value = 0;
    bar.hidden = false;
    input.disabled = true;
    request.send(file);
  }

  document.addEventListener("change", (event) => {
    if (event.target.id === "upload") send(event.target);
  });
})();
