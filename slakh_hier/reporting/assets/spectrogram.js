// Pictures of signals: waveform, spectrogram with its axis, and the time above them. `view` is [from, to] in seconds.

const MOST_FRAMES = 700, MOST_ROWS = 256, FLOOR_DB = -75, LOWEST_HZ = 60, WINDOW_SECONDS = 0.064;

function sized(canvas) {
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * scale));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * scale));
  return canvas.getContext("2d");
}

const styleOf = (canvas, name) => getComputedStyle(canvas).getPropertyValue(name).trim();

function drawWave(canvas, buffer, peak, [from, to]) {
  const pen = sized(canvas), { width, height } = canvas, data = channelsOf(buffer);
  const first = from * buffer.sampleRate, each = ((to - from) * buffer.sampleRate) / width;
  pen.fillStyle = styleOf(canvas, "--lane");
  for (let x = 0; x < width; x++) {
    let low = 0, high = 0;
    const end = Math.min(buffer.length, Math.ceil(first + (x + 1) * each));
    for (const channel of data)
      for (let i = Math.floor(first + x * each); i < end; i++) {
        if (channel[i] < low) low = channel[i];
        if (channel[i] > high) high = channel[i];
      }
    pen.fillRect(x, height / 2 - (high / peak) * (height / 2), 1, Math.max(1, ((high - low) / peak) * (height / 2)));
  }
}

// The image is cached by the caller: lanes with the same sound share it.
function drawSpectrogram(canvas, image, rate) {
  const pen = sized(canvas), scale = window.devicePixelRatio || 1, { width, height } = canvas;
  pen.drawImage(image, 0, 0, width, height);
  pen.font = `${10 * scale}px system-ui, sans-serif`;
  pen.textBaseline = "middle";
  pen.lineWidth = 3 * scale;
  pen.strokeStyle = "rgb(0 0 0 / .8)";
  pen.fillStyle = "white";
  let above = -Infinity;
  for (const hertz of [10000, 1000, 100, 5000, 500, 2000, 200].filter((x) => x < rate / 2).sort((a, b) => b - a)) {
    const y = height * (1 - Math.log(hertz / LOWEST_HZ) / Math.log(rate / 2 / LOWEST_HZ));
    const fits = y - above > 14 * scale && y > 7 * scale && y < height - 5 * scale;
    if (!fits || (height < 100 * scale && ![10000, 1000, 100].includes(hertz))) continue;
    above = y;
    const text = hertz < 1000 ? `${hertz} Hz` : `${hertz / 1000} kHz`;
    pen.fillRect(0, y, 4 * scale, scale);
    pen.strokeText(text, 7 * scale, y);
    pen.fillText(text, 7 * scale, y);
  }
}

// A tick at round times, at least so far apart that their labels do not touch.
function drawRuler(canvas, [from, to]) {
  const pen = sized(canvas), scale = window.devicePixelRatio || 1, { width, height } = canvas, span = to - from;
  const most = Math.max(2, width / (60 * scale));
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300].find((s) => span / s <= most) || 600;
  const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
  pen.fillStyle = styleOf(canvas, "--soft");
  pen.font = `${11 * scale}px system-ui, sans-serif`;
  for (let tick = Math.ceil(from / step - 1e-6); tick * step <= to + 1e-6; tick++) {
    const x = ((tick * step - from) / span) * width, text = `${(tick * step).toFixed(digits)} s`;
    pen.fillRect(Math.min(x, width - scale), height - 5 * scale, scale, 5 * scale);
    pen.textAlign = x < 20 * scale ? "left" : x > width - 20 * scale ? "right" : "center";
    pen.fillText(text, x + (pen.textAlign === "left" ? 4 * scale : 0), height - 8 * scale);
  }
}

// Magnitudes in dB of full scale, low frequencies below, on a logarithmic axis from 60 Hz up; the mean power of the
// channels.
function spectrogramOf(buffer, [from, to], rows) {
  const rate = buffer.sampleRate, size = 2 ** Math.round(Math.log2(rate * WINDOW_SECONDS)), fft = transformOf(size);
  const frames = Math.max(1, Math.min(MOST_FRAMES, Math.ceil((to - from) * 250)));
  const hop = ((to - from) * rate) / frames;
  const image = make("canvas");
  image.width = frames;
  image.height = rows = Math.max(8, Math.min(rows, MOST_ROWS));
  const pen = image.getContext("2d"), pixels = pen.createImageData(frames, rows), power = new Float32Array(size / 2 + 1);
  const channels = channelsOf(buffer);
  const span = rate / 2 / LOWEST_HZ;
  const bins = Array.from({ length: rows + 1 }, (_, row) => (LOWEST_HZ * span ** (row / rows) * size) / rate);
  for (let frame = 0; frame < frames; frame++) {
    const first = Math.round(from * rate + (frame + 0.5) * hop - size / 2);
    power.fill(0);
    for (const data of channels) fft(data, first, power, 1 / channels.length);
    for (let row = 0; row < rows; row++) {
      const low = Math.max(1, Math.floor(bins[row])), high = Math.max(low, Math.min(size / 2, Math.floor(bins[row + 1])));
      let most = 0;
      for (let bin = low; bin <= high; bin++) most = Math.max(most, power[bin]);
      const level = 10 * Math.log10(most * (4 / size) ** 2 + 1e-12);
      paint(pixels.data, ((rows - 1 - row) * frames + frame) * 4, 1 - level / FLOOR_DB);
    }
  }
  pen.putImageData(pixels, 0, 0);
  return image;
}

const STOPS = [[0, 0, 4], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]]; // magma
function paint(pixels, place, value) {
  const at = Math.min(Math.max(value, 0), 1) * (STOPS.length - 1), stop = Math.min(Math.floor(at), STOPS.length - 2);
  for (let i = 0; i < 3; i++) pixels[place + i] = STOPS[stop][i] + (at - stop) * (STOPS[stop + 1][i] - STOPS[stop][i]);
  pixels[place + 3] = 255;
}

// Adds the power spectrum of a Hann window of `data` to `power`: fast Fourier transform (Cooley and Tukey, radix 2).
function transformOf(size) {
  const real = new Float32Array(size), imaginary = new Float32Array(size);
  const hann = Float32Array.from(real, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size));
  const cosine = Float32Array.from(real, (_, i) => Math.cos((-2 * Math.PI * i) / size));
  const sine = Float32Array.from(real, (_, i) => Math.sin((-2 * Math.PI * i) / size));
  return (data, first, power, weight) => {
    for (let i = 0; i < size; i++) real[i] = (data[first + i] || 0) * hann[i];
    imaginary.fill(0);
    for (let i = 1, j = 0; i < size; i++) {
      let bit = size >> 1;
      for (; j & bit; bit >>= 1) j ^= bit;
      j ^= bit;
      if (i < j) [real[i], real[j]] = [real[j], real[i]];
    }
    for (let span = 2; span <= size; span <<= 1) {
      const half = span >> 1, step = size / span;
      for (let start = 0; start < size; start += span)
        for (let k = 0; k < half; k++) {
          const one = start + k, other = one + half, c = cosine[k * step], s = sine[k * step];
          const r = real[other] * c - imaginary[other] * s, i = real[other] * s + imaginary[other] * c;
          real[other] = real[one] - r;
          imaginary[other] = imaginary[one] - i;
          real[one] += r;
          imaginary[one] += i;
        }
    }
    for (let bin = 0; bin < power.length; bin++) power[bin] += weight * (real[bin] ** 2 + imaginary[bin] ** 2);
  };
}
