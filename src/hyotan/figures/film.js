const film = JSON.parse(document.getElementById('film-data').textContent);
const slider = document.getElementById('epoch'), button = document.getElementById('play');
const picture = document.getElementById('picture'), caption = document.getElementById('caption');
const calm = matchMedia('(prefers-reduced-motion: reduce)');
let timer = 0;
const share = (index, count) => count > 1 ? 100 * index / (count - 1) : 0;
function show(index) {
  const column = index % film.columns, row = Math.floor(index / film.columns);
  picture.style.backgroundPosition = share(column, film.columns) + '% ' + share(row, film.rows) + '%';
  picture.setAttribute('aria-label', 'Reconstructions, ' + film.captions[index]);
  slider.value = index;
  slider.setAttribute('aria-valuetext', film.captions[index]);
  caption.textContent = film.captions[index];
}
function stop() {
  clearInterval(timer);
  timer = 0;
  button.textContent = 'Play';
}
function step() {
  const next = Number(slider.value) + 1;
  if (next >= film.captions.length) return stop();
  show(next);
}
function play() {
  if (Number(slider.value) === film.captions.length - 1) show(0);
  button.textContent = 'Pause';
  timer = setInterval(step, calm.matches ? 1500 : 200);
}
slider.addEventListener('input', () => { stop(); show(Number(slider.value)); });
button.addEventListener('click', () => timer ? stop() : play());
document.getElementById('player').hidden = false;
document.getElementById('stills').hidden = true;
show(film.captions.length - 1);
