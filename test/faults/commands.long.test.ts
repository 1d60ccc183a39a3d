import { checkCommands } from './commands.ts';

checkCommands(1000);
