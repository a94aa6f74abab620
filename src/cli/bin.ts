#!/usr/bin/env node
import { main } from './main.ts'
import { outliveReader } from './print.ts'

outliveReader()

process.exitCode = await main(process.argv.slice(2))
