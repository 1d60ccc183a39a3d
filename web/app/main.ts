/** Starts the page: shipped scores at once, the engine beside them. */
import { Page } from './page.ts';

const root = document.querySelector('#app');
if (root !== null) void new Page().start(root);
