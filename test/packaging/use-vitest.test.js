import { test } from 'vitest'
import { checkOneInstance } from './one-instance.js'

test('import and require give one instance', checkOneInstance)
