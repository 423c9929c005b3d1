import { checkOneInstance } from './one-instance.js'

checkOneInstance()
