/** Loops in a kernel's text are written out, and every line still knows where it stands. */
import { expect, it } from 'vitest';
import { unroll } from '../../src/gpu/unroll.ts';

it('repeats the lines of a loop with its number, loops inside of it too', () => {
  const source = [
    'a',
    '//# for i in ROWS',
    'var s$i;',
    '  //# for j in COLUMNS',
    's$i_$j',
    '  //# end',
    '//# end',
    'b',
  ];
  const { text, lines } = unroll(source.join('\n'), { ROWS: 2, COLUMNS: 2 });
  expect(text.split('\n')).toEqual(['a', 'var s0;', 's0_0', 's0_1', 'var s1;', 's1_0', 's1_1', 'b']);
  expect(lines).toEqual([1, 3, 5, 5, 3, 5, 5, 8]);
});

it('refuses a count that the kernel does not have, and loops that begin or end alone', () => {
  expect(() => unroll('//# for i in ROWS\n//# end', {})).toThrow('Line 1: the kernel has no ROWS.');
  expect(() => unroll('a\n//# for i in ROWS', { ROWS: 1 })).toThrow('The loop of line 2 has no end.');
  expect(() => unroll('//# end', {})).toThrow('Line 1 ends no loop.');
});
