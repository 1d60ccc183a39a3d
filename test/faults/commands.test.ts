import { checkCommands } from './commands.ts';

checkCommands(40);
