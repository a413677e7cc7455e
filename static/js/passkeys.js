// Shows on the page why a passkey did not work: allauth's script reports it only in the console.
(() => {
  "use strict";
  document.addEventListener("allauth.error", (event) => {
    const place = document.getElementById("passkey-error");
    if (!place) return;
    event.preventDefault();
    const texts = place.dataset;
    place.textContent = window.isSecureContext && window.PublicKeyCredential && !/^[\d.]+$|:/.test(location.hostname)
      ? texts.textFailed
      : texts.textInsecure;
    place.hidden = false;
  });
})();
