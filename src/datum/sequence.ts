import { Stream } from '../random/stream.js';
import { Dealer } from './bands.js';
import type { Pools } from './pool.js';
import type { SequenceForm } from './recipe.js';
import { Sink } from './sink.js';
import { MICROS_PER_DAY, writeDay, writeTime, writeTimestamp } from './temporal.js';
import { codeSequenceWriter, textSequenceWriter } from './text.js';
import { POWERS_OF_TEN, type Writer } from './writer.js';

/** A number of a counted form as text. */
export function numberText(form: SequenceForm, number: number): string {
  const sink = new Sink(128);
  sequenceWriter(form, number, null)(new Stream(), sink, 0);
  return sink.bytes.toString('latin1', 0, sink.offset);
}

/** `pools`: null where the form needs none. */
export function sequenceWriter(form: SequenceForm, start: number, pools: Pools | null): Writer {
  switch (form.kind) {
    case 'integer':
      return (_stream, sink, ordinal) => sink.signed(start + ordinal);
    case 'decimal':
      return decimalSequenceWriter(form.scale, start);
    case 'text':
      return textSequenceWriter(pools!.text(form.meaning, form.max), {
        ...form,
        start,
        email: form.meaning === 'email',
      });
    case 'code':
      return codeSequenceWriter(form.width, start);
    case 'places':
      return placesSequenceWriter(form.places, start);
    case 'date':
      return (_stream, sink, ordinal) => writeDay(sink, start + ordinal);
    case 'timestamp': {
      const step = POWERS_OF_TEN[6 - form.precision]!;
      return (_stream, sink, ordinal) => writeTimestamp(sink, (start + ordinal) * step, form.zone);
    }
    case 'interval':
      return (_stream, sink, ordinal) => {
        sink.ascii('PT');
        sink.digits(start + ordinal);
        sink.byte(83);
      };
    case 'time': {
      const step = POWERS_OF_TEN[6 - form.precision]!;
      return (_stream, sink, ordinal) => {
        writeTime(sink, ((start + ordinal) * step) % MICROS_PER_DAY);
        if (form.zone) sink.ascii('+00');
      };
    }
    case 'bits':
      return (_stream, sink, ordinal) => {
        const bits = (start + ordinal).toString(2);
        sink.ascii(form.varying ? bits : bits.padStart(form.length, '0'));
      };
    case 'labels':
      return (_stream, sink, ordinal) => sink.text(form.values[(start + ordinal) % form.values.length]!);
    case 'demanded': {
      const { values } = form;
      const of = sequenceWriter(form.of, start, pools);
      return (stream, sink, ordinal) => {
        if (ordinal < values.length) sink.text(values[ordinal]!);
        else of(stream, sink, ordinal - values.length);
      };
    }
    case 'bands': {
      const dealer = new Dealer(form.bands);
      const of = sequenceWriter(form.of, 0, pools);
      return (stream, sink, ordinal) => of(stream, sink, dealer.numberOf(start + ordinal));
    }
    case 'span':
      return spanSequenceWriter(sequenceWriter(form.of, start, pools), form.many);
    case 'end': {
      const of = sequenceWriter(form.of, start, pools);
      return (stream, sink, ordinal) => of(stream, sink, 2 * ordinal + form.end);
    }
  }
}

function placesSequenceWriter(places: readonly string[], start: number): Writer {
  const digits = new Array<string>(places.length);
  return (_stream, sink, ordinal) => {
    let rest = start + ordinal;
    for (let place = places.length - 1; place >= 0; place--) {
      const characters = places[place]!;
      digits[place] = characters[rest % characters.length]!;
      rest = Math.floor(rest / characters.length);
    }
    sink.text(digits.join(''));
  };
}

function spanSequenceWriter(end: Writer, many: boolean): Writer {
  return (stream, sink, ordinal) => {
    sink.ascii(many ? '{["' : '["');
    end(stream, sink, ordinal);
    sink.ascii('","');
    end(stream, sink, ordinal + 1);
    sink.ascii(many ? '")}' : '")');
  };
}

function decimalSequenceWriter(scale: number, start: number): Writer {
  if (scale <= 0) {
    return (_stream, sink, ordinal) => {
      sink.signed(start + ordinal);
      for (let i = 0; i < -scale; i++) sink.byte(48);
    };
  }
  const width = Math.min(scale, 15);
  const unit = POWERS_OF_TEN[width]!;
  return (_stream, sink, ordinal) => {
    const value = Math.abs(start + ordinal);
    if (start + ordinal < 0) sink.byte(45);
    sink.digits(Math.floor(value / unit));
    sink.byte(46);
    sink.reserve(scale + 64);
    sink.padded(value % unit, width);
  };
}
