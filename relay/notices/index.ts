export { createComposeNotice } from './compose-notice.ts'
